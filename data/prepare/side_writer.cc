#include "data/prepare/side_writer.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/array_file.h"

namespace torii::data {
namespace {

// The plain values of a scratch file; valid as long as `file`.
template <typename T>
std::span<const T> PlainValues(const MappedFile& file) {
  return {reinterpret_cast<const T*>(file.data()), static_cast<size_t>(file.size()) / sizeof(T)};
}

// A scratch file mapped; `bytes`: how many were written.
absl::StatusOr<std::shared_ptr<MappedFile>> MapScratch(FileSystem& files, const std::string& path,
                                                       int64_t bytes) {
  TORII_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> file, files.Map(path));
  if (file->size() != bytes) {
    return IoError(absl::StrCat("read ", path, ": truncated: ", file->size(), " of the ", bytes,
                                " bytes that were written"));
  }
  return file;
}

// Writes one side, array by array.
class SideWriter {
 public:
  SideWriter(FileSystem& files, const std::string& folder, const SideTableOptions& options,
             const IdMap& ids, std::span<const int32_t> order, const SideTable& table)
      : files_(files),
        folder_(folder),
        options_(options),
        ids_(ids),
        order_(order),
        table_(table) {}

  absl::StatusOr<WrittenSide> Write() {
    written_.side.set_rows(rows());
    written_.side.set_id_type(ids_.type());
    written_.side.set_has_titles(table_.has_titles);
    TORII_RETURN_IF_ERROR(ids_.type() == INTEGER ? WriteIntegerIds() : WriteTextIds());
    TORII_RETURN_IF_ERROR(WriteIdOrder());
    if (table_.has_titles) {
      TORII_RETURN_IF_ERROR(WriteTitles());
    }
    for (size_t k = 0; k < table_.features.size(); ++k) {
      *written_.side.add_feature() = table_.features[k]->info();
      TORII_RETURN_IF_ERROR(WriteFeature(static_cast<int>(k), *table_.features[k]));
    }
    return std::move(written_);
  }

 private:
  int64_t rows() const { return static_cast<int64_t>(order_.size()); }
  // Of a scratch file of ends; a side table has at least one row.
  int64_t EndsBytes() const { return table_.rows * static_cast<int64_t>(sizeof(int64_t)); }
  bool InTable(int32_t code) const { return code < table_.rows; }

  absl::StatusOr<BufferedFile> Create(const std::string& name, ArrayType type, int64_t count) {
    return BufferedFile::CreateArray(files_, JoinPath(folder_, name), type, count);
  }
  absl::Status Finish(BufferedFile* file) {
    TORII_ASSIGN_OR_RETURN(written_.files.emplace_back(), file->Finish());
    return absl::OkStatus();
  }

  absl::Status WriteIntegerIds() {
    TORII_ASSIGN_OR_RETURN(BufferedFile out, Create(SideArrayFile(options_.side, "ids.i64"),
                                                    ArrayType::kInt64, rows()));
    for (const int32_t code : order_) {
      TORII_RETURN_IF_ERROR(out.AppendValue(ids_.Integer(code)));
    }
    return Finish(&out);
  }

  absl::Status WriteTextIds() {
    return WriteBytes("ids", [this](int32_t code) { return std::string_view(ids_.TextId(code)); });
  }

  absl::Status WriteTitles() {
    TORII_ASSIGN_OR_RETURN(const auto ends_file,
                           MapScratch(files_, ScratchFile(options_, "title_ends"), EndsBytes()));
    const std::span<const int64_t> ends = PlainValues<int64_t>(*ends_file);
    TORII_ASSIGN_OR_RETURN(const auto bytes_file,
                           MapScratch(files_, ScratchFile(options_, "titles"), ends.back()));
    const std::span<const char> bytes = PlainValues<char>(*bytes_file);
    return WriteBytes("titles", [&](int32_t code) {
      if (!InTable(code)) {
        return std::string_view();
      }
      const size_t c = static_cast<size_t>(code);
      const size_t begin = c == 0 ? 0 : static_cast<size_t>(ends[c - 1]);
      return std::string_view(bytes.data() + begin, static_cast<size_t>(ends[c]) - begin);
    });
  }

  // "<name>.offsets.i64" and "<name>.bytes.u8" of text_of(code).
  template <typename TextOf>
  absl::Status WriteBytes(const std::string& name, TextOf&& text_of) {
    TORII_ASSIGN_OR_RETURN(
        BufferedFile offsets,
        Create(SideArrayFile(options_.side, name + ".offsets.i64"), ArrayType::kInt64, rows() + 1));
    int64_t end = 0;
    TORII_RETURN_IF_ERROR(offsets.AppendValue(end));
    for (const int32_t code : order_) {
      end += static_cast<int64_t>(text_of(code).size());
      TORII_RETURN_IF_ERROR(offsets.AppendValue(end));
    }
    TORII_RETURN_IF_ERROR(Finish(&offsets));
    TORII_ASSIGN_OR_RETURN(
        BufferedFile bytes,
        Create(SideArrayFile(options_.side, name + ".bytes.u8"), ArrayType::kUint8, end));
    for (const int32_t code : order_) {
      const std::string_view text = text_of(code);
      TORII_RETURN_IF_ERROR(bytes.Append(text.data(), text.size()));
    }
    return Finish(&bytes);
  }

  absl::Status WriteIdOrder() {
    std::vector<int32_t> by_id(order_.size());
    std::iota(by_id.begin(), by_id.end(), 0);
    std::sort(by_id.begin(), by_id.end(), [this](int32_t a, int32_t b) {
      return ids_.Less(order_[static_cast<size_t>(a)], order_[static_cast<size_t>(b)]);
    });
    TORII_ASSIGN_OR_RETURN(BufferedFile out, Create(SideArrayFile(options_.side, "id_order.i32"),
                                                    ArrayType::kInt32, rows()));
    TORII_RETURN_IF_ERROR(out.AppendValues(std::span<const int32_t>(by_id)));
    return Finish(&out);
  }

  absl::Status WriteFeature(int feature, const FeatureEncoder& encoder) {
    EncodedRows missing;
    encoder.EncodeMissing(&missing);
    switch (encoder.info().kind()) {
      case PreparedFeature::SINGLE:
        return WriteFixed<int32_t>(feature, "values.i32", 1, missing.values);
      case PreparedFeature::DENSE:
        return WriteFixed<float>(feature, "values.f32", static_cast<size_t>(encoder.info().width()),
                                 missing.dense);
      case PreparedFeature::BAG:
        break;
    }
    TORII_ASSIGN_OR_RETURN(
        const auto ends_file,
        MapScratch(files_, ScratchFeatureFile(options_, feature, "ends"), EndsBytes()));
    const std::span<const int64_t> ends = PlainValues<int64_t>(*ends_file);
    constexpr int64_t kBytes = sizeof(int32_t);
    TORII_ASSIGN_OR_RETURN(
        const auto values,
        MapScratch(files_, ScratchFeatureFile(options_, feature, "values"), ends.back() * kBytes));
    return WriteBags(feature, ends, PlainValues<int32_t>(*values), missing.values);
  }

  // `width` values for each row.
  template <typename T>
  absl::Status WriteFixed(int feature, const char* array, size_t width,
                          const std::vector<T>& missing) {
    const int64_t bytes = table_.rows * static_cast<int64_t>(width * sizeof(T));
    TORII_ASSIGN_OR_RETURN(
        const auto file,
        MapScratch(files_, ScratchFeatureFile(options_, feature, "values"), bytes));
    const std::span<const T> values = PlainValues<T>(*file);
    TORII_ASSIGN_OR_RETURN(BufferedFile out,
                           Create(FeatureFile(options_.side, feature, array), ArrayTypeOf<T>::value,
                                  rows() * static_cast<int64_t>(width)));
    for (const int32_t code : order_) {
      TORII_RETURN_IF_ERROR(
          out.AppendValues(InTable(code) ? values.subspan(static_cast<size_t>(code) * width, width)
                                         : std::span<const T>(missing)));
    }
    return Finish(&out);
  }

  absl::Status WriteBags(int feature, std::span<const int64_t> ends,
                         std::span<const int32_t> values, const std::vector<int32_t>& missing) {
    const auto bag_of = [&](int32_t code) {
      if (!InTable(code)) {
        return std::span<const int32_t>(missing);
      }
      const size_t c = static_cast<size_t>(code);
      const size_t begin = c == 0 ? 0 : static_cast<size_t>(ends[c - 1]);
      return values.subspan(begin, static_cast<size_t>(ends[c]) - begin);
    };
    TORII_ASSIGN_OR_RETURN(
        BufferedFile offsets,
        Create(FeatureFile(options_.side, feature, "offsets.i64"), ArrayType::kInt64, rows() + 1));
    int64_t end = 0;
    TORII_RETURN_IF_ERROR(offsets.AppendValue(end));
    for (const int32_t code : order_) {
      end += static_cast<int64_t>(bag_of(code).size());
      TORII_RETURN_IF_ERROR(offsets.AppendValue(end));
    }
    TORII_RETURN_IF_ERROR(Finish(&offsets));
    TORII_ASSIGN_OR_RETURN(
        BufferedFile out,
        Create(FeatureFile(options_.side, feature, "values.i32"), ArrayType::kInt32, end));
    for (const int32_t code : order_) {
      TORII_RETURN_IF_ERROR(out.AppendValues(bag_of(code)));
    }
    return Finish(&out);
  }

  FileSystem& files_;
  const std::string folder_;
  const SideTableOptions& options_;
  const IdMap& ids_;
  const std::span<const int32_t> order_;
  const SideTable& table_;
  WrittenSide written_;
};

}  // namespace

std::vector<int32_t> OrderRows(const IdMap& ids, std::span<const int64_t> train_counts,
                               std::span<const uint8_t> kept) {
  std::vector<int32_t> order;
  for (size_t code = 0; code < kept.size(); ++code) {
    if (kept[code] != 0) {
      order.push_back(static_cast<int32_t>(code));
    }
  }
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    const int64_t count_a = train_counts[static_cast<size_t>(a)];
    const int64_t count_b = train_counts[static_cast<size_t>(b)];
    return count_a != count_b ? count_a > count_b : ids.Less(a, b);
  });
  return order;
}

std::vector<int32_t> RowsOfCodes(std::span<const int32_t> order, int64_t num_codes) {
  std::vector<int32_t> rows(static_cast<size_t>(num_codes), -1);
  for (size_t row = 0; row < order.size(); ++row) {
    rows[static_cast<size_t>(order[row])] = static_cast<int32_t>(row);
  }
  return rows;
}

absl::StatusOr<WrittenSide> WriteSide(FileSystem& files, const std::string& folder,
                                      const SideTableOptions& options, const IdMap& ids,
                                      std::span<const int32_t> order, const SideTable& table) {
  return SideWriter(files, folder, options, ids, order, table).Write();
}

}  // namespace torii::data
