#include "data/read/text_stream.h"

#include <unicode/ucnv.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "arrow/io/compressed.h"
#include "arrow/util/compression.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/arrow_file.h"
#include "data/read/byte_stream.h"

namespace torii::data {
namespace {

constexpr int64_t kBlockBytes = 1 << 18;
// Stands for a delimiter of several characters: "unit separator", which no text has.
constexpr char kStandIn = '\x1f';

arrow::Compression::type CodecOf(Compression compression) {
  switch (compression) {
    case Compression::kGzip:
      return arrow::Compression::GZIP;
    case Compression::kZstd:
      return arrow::Compression::ZSTD;
    case Compression::kBzip2:
      return arrow::Compression::BZ2;
    case Compression::kLz4:
      return arrow::Compression::LZ4_FRAME;
    case Compression::kBrotli:
      return arrow::Compression::BROTLI;
    case Compression::kNone:
      break;
  }
  return arrow::Compression::UNCOMPRESSED;
}

absl::StatusOr<std::shared_ptr<arrow::io::InputStream>> OpenBytes(FileSystem& files,
                                                                  const InputFile& input) {
  TORII_ASSIGN_OR_RETURN(std::unique_ptr<ReadableFile> raw, files.OpenForReading(input.path));
  std::shared_ptr<arrow::io::InputStream> stream = ToArrowFile(std::move(raw));
  if (input.compression == Compression::kNone) {
    return stream;
  }
  arrow::Result<std::unique_ptr<arrow::util::Codec>> codec =
      arrow::util::Codec::Create(CodecOf(input.compression));
  if (!codec.ok()) {
    return FromArrow(codec.status(), input.path);
  }
  // The stream keeps the decompressor, not the codec, but the codec must outlive it.
  const std::shared_ptr<arrow::util::Codec> shared_codec = *std::move(codec);
  auto compressed = arrow::io::CompressedInputStream::Make(shared_codec.get(), stream);
  if (!compressed.ok()) {
    return FromArrow(compressed.status(), input.path);
  }
  return std::shared_ptr<arrow::io::InputStream>(
      compressed->get(), [keep = *compressed, shared_codec](arrow::io::InputStream*) {});
}

class Blocks final : public ByteStage {
 public:
  explicit Blocks(std::shared_ptr<arrow::io::InputStream> stream) : stream_(std::move(stream)) {}
  arrow::Status Next(std::string* out) override {
    ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Buffer> block, stream_->Read(kBlockBytes));
    out->append(reinterpret_cast<const char*>(block->data()), static_cast<size_t>(block->size()));
    return arrow::Status::OK();
  }

 private:
  std::shared_ptr<arrow::io::InputStream> stream_;
};

struct CloseConverter {
  void operator()(UConverter* converter) const { ucnv_close(converter); }
};
using Converter = std::unique_ptr<UConverter, CloseConverter>;

Converter OpenConverter(const std::string& encoding) {
  UErrorCode code = U_ZERO_ERROR;
  Converter converter(ucnv_open(encoding.c_str(), &code));
  if (U_FAILURE(code)) {
    return nullptr;
  }
  ucnv_setToUCallBack(converter.get(), UCNV_TO_U_CALLBACK_STOP, nullptr, nullptr, nullptr, &code);
  return converter;
}

// Bytes of an encoding -> UTF-8. A byte that is no text in the encoding is an error, told after all
// that comes before it.
class Decoder final : public ByteStage {
 public:
  Decoder(std::unique_ptr<ByteStage> source, const InputFile& input)
      : source_(std::move(source)),
        from_(OpenConverter(input.text.encoding)),
        to_(OpenConverter("UTF-8")),
        path_(input.path),
        encoding_(input.text.encoding) {}

  arrow::Status Next(std::string* out) override {
    const size_t before = out->size();
    while (out->size() == before && !finished_) {
      ARROW_RETURN_NOT_OK(bad_);
      raw_.clear();
      ARROW_RETURN_NOT_OK(source_->Next(&raw_));
      finished_ = raw_.empty();
      Decode(out);
    }
    return out->size() == before ? bad_ : arrow::Status::OK();
  }

 private:
  void Decode(std::string* out) {
    const char* source = raw_.data();
    const char* const source_end = source + raw_.size();
    UErrorCode code = U_BUFFER_OVERFLOW_ERROR;
    while (code == U_BUFFER_OVERFLOW_ERROR) {
      code = U_ZERO_ERROR;
      UChar block[1 << 12];
      UChar* end = block;
      ucnv_toUnicode(from_.get(), &end, block + std::size(block), &source, source_end, nullptr,
                     finished_, &code);
      line_ += std::count(static_cast<const UChar*>(block), static_cast<const UChar*>(end), u'\n');
      AppendUtf8(block, end, out);
    }
    if (U_FAILURE(code)) {
      bad_ = ToArrow(DataError(absl::StrCat(path_, ": line ", line_, ": the text is not valid ",
                                            encoding_, "; set `encoding` to what the file has")));
    }
  }

  // The converter keeps half a character until the other half comes.
  void AppendUtf8(const UChar* begin, const UChar* end, std::string* out) {
    UErrorCode code = U_BUFFER_OVERFLOW_ERROR;
    while (code == U_BUFFER_OVERFLOW_ERROR) {
      code = U_ZERO_ERROR;
      char block[1 << 14];
      char* target = block;
      ucnv_fromUnicode(to_.get(), &target, block + sizeof(block), &begin, end, nullptr, finished_,
                       &code);
      out->append(block, target);
    }
  }

  std::unique_ptr<ByteStage> source_;
  Converter from_;
  Converter to_;
  const std::string path_;
  const std::string encoding_;
  std::string raw_;
  bool finished_ = false;
  int64_t line_ = 1;
  arrow::Status bad_;
};

// A delimiter of several characters -> kStandIn.
class ShortDelimiter final : public ByteStage {
 public:
  ShortDelimiter(std::unique_ptr<ByteStage> source, const InputFile& input)
      : source_(std::move(source)), path_(input.path), delimiter_(input.text.delimiter) {}
  arrow::Status Next(std::string* out) override {
    const size_t before = out->size();
    while (out->size() == before && !finished_) {
      const size_t held = held_.size();
      ARROW_RETURN_NOT_OK(source_->Next(&held_));
      finished_ = held_.size() == held;
      if (held_.find(kStandIn) != std::string::npos) {
        return ToArrow(
            DataError(absl::StrCat(path_, ": has the character U+001F, which cannot stand ",
                                   "in a file whose delimiter has several characters")));
      }
      Replace(out);
    }
    return arrow::Status::OK();
  }

 private:
  // Keeps what may be the beginning of a delimiter.
  void Replace(std::string* out) {
    size_t at = 0;
    for (size_t found; (found = held_.find(delimiter_, at)) != std::string::npos;
         at = found + delimiter_.size()) {
      out->append(held_, at, found - at);
      out->push_back(kStandIn);
    }
    const size_t rest = held_.size() - at;
    const size_t keep = finished_ ? 0 : std::min(rest, delimiter_.size() - 1);
    out->append(held_, at, rest - keep);
    held_.erase(0, at + rest - keep);
  }

  std::unique_ptr<ByteStage> source_;
  const std::string path_;
  const std::string delimiter_;
  std::string held_;
  bool finished_ = false;
};

}  // namespace

char StreamDelimiter(const InputFile& input) {
  return input.text.delimiter.size() == 1 ? input.text.delimiter[0] : kStandIn;
}

bool KnownEncoding(const std::string& name) { return OpenConverter(name) != nullptr; }

absl::StatusOr<std::shared_ptr<arrow::io::InputStream>> OpenTextStream(FileSystem& files,
                                                                       const InputFile& input) {
  TORII_ASSIGN_OR_RETURN(auto bytes, OpenBytes(files, input));
  if (input.text.encoding.empty() && input.text.delimiter.size() == 1) {
    return bytes;
  }
  std::unique_ptr<ByteStage> stage = std::make_unique<Blocks>(std::move(bytes));
  if (!input.text.encoding.empty()) {
    stage = std::make_unique<Decoder>(std::move(stage), input);
  }
  if (input.text.delimiter.size() > 1) {
    stage = std::make_unique<ShortDelimiter>(std::move(stage), input);
  }
  return std::make_shared<StageStream>(std::move(stage));
}

absl::StatusOr<int64_t> RecordAt(FileSystem& files, const InputFile& input, int64_t offset) {
  TORII_ASSIGN_OR_RETURN(const auto stream, OpenTextStream(files, input));
  const char delimiter = StreamDelimiter(input);
  const bool quotes = input.text.quotes.value_or(false);
  int64_t record = 1;
  bool empty = true;  // the record so far
  bool quoted = false;
  char before = '\n';
  for (int64_t position = 0; position < offset;) {
    const auto block = stream->Read(std::min(kBlockBytes, offset - position));
    if (!block.ok()) {
      return FromArrow(block.status(), input.path);
    }
    if ((*block)->size() == 0) {
      break;
    }
    position += (*block)->size();
    for (const char c : std::string_view(**block)) {
      if (quotes && c == '"' && (quoted || before == delimiter || before == '\n')) {
        quoted = !quoted;  // "" inside closes and opens again
        before = quoted ? c : delimiter;
      } else {
        before = quoted ? before : c;
      }
      if (c == '\n' && !quoted) {
        record += empty ? 0 : 1;
        empty = true;
      } else if (c != '\r') {
        empty = false;
      }
    }
  }
  return record;
}

}  // namespace torii::data
