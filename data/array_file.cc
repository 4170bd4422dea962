#include "data/array_file.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/status_macros.h"

namespace torii::data {
namespace {

constexpr size_t kBufferBytes = 1 << 20;

}  // namespace

int64_t BytesOf(ArrayType type) {
  switch (type) {
    case ArrayType::kInt32:
    case ArrayType::kFloat32:
      return 4;
    case ArrayType::kInt64:
      return 8;
    case ArrayType::kUint8:
      return 1;
  }
  return 0;
}

absl::StatusOr<int64_t> CheckArray(const MappedFile& file, ArrayType type,
                                   const std::string& path) {
  const ArrayHeader expected;
  ArrayHeader header;
  if (file.size() < static_cast<int64_t>(sizeof(header))) {
    return DataError(absl::StrCat(
        path, ": ", file.size(), " bytes, too short for an array file; run `torii prepare` again"));
  }
  std::memcpy(&header, file.data(), sizeof(header));
  if (std::memcmp(header.magic, expected.magic, sizeof(header.magic)) != 0 ||
      header.version != expected.version) {
    return DataError(
        absl::StrCat(path, ": not an array file of this version; run `torii prepare` again"));
  }
  if (header.type != type) {
    return DataError(absl::StrCat(path, ": holds values of type ",
                                  static_cast<uint32_t>(header.type), ", expected ",
                                  static_cast<uint32_t>(type), "; run `torii prepare` again"));
  }
  const int64_t bytes = file.size() - static_cast<int64_t>(sizeof(header));
  if (header.count < 0 || header.count != bytes / BytesOf(type) || bytes % BytesOf(type) != 0) {
    return DataError(absl::StrCat(path, ": the header says ", header.count,
                                  " values, the file has ", bytes,
                                  " bytes of them; run `torii prepare` again"));
  }
  return header.count;
}

BufferedFile::BufferedFile(std::unique_ptr<WritableFile> file, std::string path)
    : file_(std::move(file)), path_(std::move(path)) {
  buffer_.reserve(kBufferBytes);
}

absl::StatusOr<BufferedFile> BufferedFile::Create(FileSystem& files, const std::string& path) {
  TORII_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, files.Create(path));
  return BufferedFile(std::move(file), path);
}

absl::Status BufferedFile::Append(const void* data, size_t size) {
  size_ += static_cast<int64_t>(size);
  if (buffer_.size() + size > kBufferBytes) {
    TORII_RETURN_IF_ERROR(Flush());
  }
  const char* bytes = static_cast<const char*>(data);
  if (size >= kBufferBytes) {
    TORII_FAILPOINT("prepare.write");
    digest_.Update(bytes, size);
    return file_->Append(bytes, static_cast<int64_t>(size));
  }
  buffer_.insert(buffer_.end(), bytes, bytes + size);
  return absl::OkStatus();
}

absl::Status BufferedFile::Flush() {
  if (buffer_.empty()) {
    return absl::OkStatus();
  }
  TORII_FAILPOINT("prepare.write");
  digest_.Update(buffer_.data(), buffer_.size());
  TORII_RETURN_IF_ERROR(file_->Append(buffer_.data(), static_cast<int64_t>(buffer_.size())));
  buffer_.clear();
  return absl::OkStatus();
}

absl::Status BufferedFile::Close(Durability durability) {
  TORII_RETURN_IF_ERROR(Flush());
  if (durability == Durability::kDurable) {
    TORII_RETURN_IF_ERROR(file_->Sync());
  }
  return file_->Close();
}

absl::StatusOr<BufferedFile> BufferedFile::CreateArray(FileSystem& files, const std::string& path,
                                                       ArrayType type, int64_t count) {
  TORII_ASSIGN_OR_RETURN(BufferedFile file, Create(files, path));
  ArrayHeader header;
  header.type = type;
  header.count = count;
  file.expected_size_ = static_cast<int64_t>(sizeof(header)) + count * BytesOf(type);
  TORII_RETURN_IF_ERROR(file.Append(&header, sizeof(header)));
  return file;
}

absl::StatusOr<PreparedFile> BufferedFile::Finish() {
  TORII_CHECK(size_ == expected_size_, path_, ": wrote ", size_, " bytes, announced ",
              expected_size_);
  TORII_RETURN_IF_ERROR(Close(Durability::kDurable));
  PreparedFile result;
  result.set_name(BaseName(path_));
  result.set_size(size_);
  result.set_digest(digest_.Hex());
  return result;
}

}  // namespace torii::data
