#include "data/prepare/side_table.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/array_file.h"
#include "data/read/table_reader.h"

namespace torii::data {
namespace {

constexpr int kChunksAhead = 4;

// Which columns are read, and where those of each feature are.
struct ColumnPlan {
  std::vector<std::string> names;
  size_t id = 0;
  size_t title = 0;
  std::vector<std::vector<size_t>> of_feature;

  size_t Add(const std::string& name) {
    const size_t place =
        static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
    if (place == names.size()) {
      names.push_back(name);
    }
    return place;
  }
  std::vector<Column> FeatureColumns(const TableChunk& chunk, size_t feature) const {
    std::vector<Column> columns;
    for (const size_t place : of_feature[feature]) {
      columns.push_back(ColumnOf(chunk, place, names[place]));
    }
    return columns;
  }
};

ColumnPlan PlanColumns(const SideFile& config, const std::string& id_column) {
  ColumnPlan plan;
  plan.id = plan.Add(id_column);
  plan.title = config.title().empty() ? plan.id : plan.Add(config.title());
  for (const Feature& feature : config.feature()) {
    std::vector<size_t>& places = plan.of_feature.emplace_back();
    for (const std::string& column : feature.column()) {
      places.push_back(plan.Add(column));
    }
  }
  return plan;
}

// Gives each row of the side file its code, and tells rows with the same id.
class IdRegister {
 public:
  IdRegister(IdMap* ids, const SideTableOptions& options) : ids_(*ids), options_(options) {}

  absl::Status Add(const Column& column) {
    TORII_ASSIGN_OR_RETURN(const Ids ids, ReadIds(column, options_.ids));
    chunks_.push_back({ids_.size(), column.file, column.first_row});
    for (int64_t i = 0; i < column.array->length(); ++i) {
      const int64_t expected = ids_.size();
      const int32_t code = ids_.FindOrAdd(ids, static_cast<size_t>(i));
      if (code != expected) {
        return CellError(
            column, i,
            absl::StrCat("id ", ShowId(ids, ids_.type(), static_cast<size_t>(i)), " is also in ",
                         PlaceOf(code), "; a side file has one row for each id"));
      }
    }
    return absl::OkStatus();
  }

 private:
  struct Chunk {
    int64_t first_code;
    std::shared_ptr<const std::string> file;
    int64_t first_row;
  };

  // "items.csv:17"
  std::string PlaceOf(int32_t code) const {
    const auto after = std::upper_bound(
        chunks_.begin(), chunks_.end(), static_cast<int64_t>(code),
        [](int64_t wanted, const Chunk& chunk) { return wanted < chunk.first_code; });
    const Chunk& chunk = *(after - 1);
    return absl::StrCat(*chunk.file, ":", chunk.first_row + code - chunk.first_code);
  }

  IdMap& ids_;
  const SideTableOptions& options_;
  std::vector<Chunk> chunks_;
};

// Appends variable-length rows to two scratch files: where each row ends, and the values.
class RowsWriter {
 public:
  static absl::StatusOr<RowsWriter> Create(FileSystem& files, const std::string& ends_path,
                                           const std::string& values_path) {
    TORII_ASSIGN_OR_RETURN(BufferedFile ends, BufferedFile::Create(files, ends_path));
    TORII_ASSIGN_OR_RETURN(BufferedFile values, BufferedFile::Create(files, values_path));
    return RowsWriter(std::move(ends), std::move(values));
  }
  template <typename T>
  absl::Status AppendValues(const std::vector<T>& values) {
    return values_.AppendValues(std::span<const T>(values));
  }
  absl::Status AppendText(std::string_view text) {
    TORII_RETURN_IF_ERROR(values_.Append(text.data(), text.size()));
    return AppendLength(static_cast<int64_t>(text.size()));
  }
  absl::Status AppendLength(int64_t length) {
    end_ += length;
    return ends_.AppendValue(end_);
  }
  absl::Status Close() {
    TORII_RETURN_IF_ERROR(ends_.Close(BufferedFile::Durability::kScratch));
    return values_.Close(BufferedFile::Durability::kScratch);
  }

 private:
  RowsWriter(BufferedFile ends, BufferedFile values)
      : ends_(std::move(ends)), values_(std::move(values)) {}
  BufferedFile ends_;
  BufferedFile values_;
  int64_t end_ = 0;
};

std::unique_ptr<TableReader> OpenAll(FileSystem& files, const std::vector<InputFile>& inputs,
                                     const ColumnPlan& plan) {
  return ReadAhead(ConcatenateTables(files, inputs, plan.names), kChunksAhead);
}

absl::Status ObserveAll(FileSystem& files, const std::vector<InputFile>& inputs,
                        const ColumnPlan& plan, const SideTableOptions& options, IdMap* ids,
                        SideTable* table) {
  std::optional<RowsWriter> titles;
  if (table->has_titles) {
    TORII_ASSIGN_OR_RETURN(titles, RowsWriter::Create(files, ScratchFile(options, "title_ends"),
                                                      ScratchFile(options, "titles")));
  }
  IdRegister id_register(ids, options);
  const std::unique_ptr<TableReader> reader = OpenAll(files, inputs, plan);
  while (true) {
    TORII_ASSIGN_OR_RETURN(const std::optional<TableChunk> chunk, reader->Next());
    if (!chunk.has_value()) {
      break;
    }
    TORII_RETURN_IF_ERROR(id_register.Add(ColumnOf(*chunk, plan.id, plan.names[plan.id])));
    table->rows += chunk->rows;
    if (titles.has_value()) {
      const Column column = ColumnOf(*chunk, plan.title, plan.names[plan.title]);
      TORII_ASSIGN_OR_RETURN(const Texts texts, ReadTexts(column));
      TORII_RETURN_IF_ERROR(CheckUtf8(column, texts));
      for (const std::string_view text : texts.values) {
        TORII_RETURN_IF_ERROR(titles->AppendText(text));
      }
    }
    for (size_t k = 0; k < table->features.size(); ++k) {
      TORII_RETURN_IF_ERROR(table->features[k]->Observe(plan.FeatureColumns(*chunk, k)));
    }
  }
  return titles.has_value() ? titles->Close() : absl::OkStatus();
}

absl::Status EncodeAll(FileSystem& files, const std::vector<InputFile>& inputs,
                       const ColumnPlan& plan, const SideTableOptions& options,
                       const SideTable& table) {
  std::vector<RowsWriter> writers;
  for (size_t k = 0; k < table.features.size(); ++k) {
    const int feature = static_cast<int>(k);
    TORII_ASSIGN_OR_RETURN(RowsWriter writer,
                           RowsWriter::Create(files, ScratchFeatureFile(options, feature, "ends"),
                                              ScratchFeatureFile(options, feature, "values")));
    writers.push_back(std::move(writer));
  }
  EncodedRows encoded;
  const std::unique_ptr<TableReader> reader = OpenAll(files, inputs, plan);
  while (!writers.empty()) {
    TORII_ASSIGN_OR_RETURN(const std::optional<TableChunk> chunk, reader->Next());
    if (!chunk.has_value()) {
      break;
    }
    for (size_t k = 0; k < writers.size(); ++k) {
      encoded.clear();
      TORII_RETURN_IF_ERROR(table.features[k]->Encode(plan.FeatureColumns(*chunk, k), &encoded));
      TORII_RETURN_IF_ERROR(writers[k].AppendValues(encoded.values));
      TORII_RETURN_IF_ERROR(writers[k].AppendValues(encoded.dense));
      for (const int64_t length : encoded.lengths) {
        TORII_RETURN_IF_ERROR(writers[k].AppendLength(length));
      }
    }
  }
  for (RowsWriter& writer : writers) {
    TORII_RETURN_IF_ERROR(writer.Close());
  }
  return absl::OkStatus();
}

}  // namespace

std::string ScratchFile(const SideTableOptions& options, const std::string& what) {
  return JoinPath(options.scratch_folder, SideArrayFile(options.side, what));
}

std::string ScratchFeatureFile(const SideTableOptions& options, int feature,
                               const std::string& what) {
  return JoinPath(options.scratch_folder, FeatureFile(options.side, feature, what));
}

absl::StatusOr<SideTable> ReadSideTable(FileSystem& files, const SideFile& config,
                                        const std::vector<InputFile>& inputs,
                                        const SideTableOptions& options, IdMap* ids) {
  const ColumnPlan plan = PlanColumns(config, options.id_column);
  SideTable table;
  table.has_titles = !config.title().empty();
  for (const Feature& feature : config.feature()) {
    table.features.push_back(MakeFeatureEncoder(feature));
  }
  TORII_RETURN_IF_ERROR(ObserveAll(files, inputs, plan, options, ids, &table));
  if (table.rows == 0) {
    return DataError(absl::StrCat(inputs.front().path, ": no rows"));
  }
  for (const std::unique_ptr<FeatureEncoder>& feature : table.features) {
    TORII_RETURN_IF_ERROR(feature->Finish());
  }
  TORII_RETURN_IF_ERROR(EncodeAll(files, inputs, plan, options, table));
  return table;
}

}  // namespace torii::data
