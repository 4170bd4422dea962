// A folder of raw files for one test: written from C++ values, prepared, opened.
#pragma once

#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "arrow/api.h"
#include "arrow/io/file.h"
#include "base/file_system.h"
#include "data/dataset.h"
#include "data/prepare/prepare.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "parquet/arrow/writer.h"

namespace torii::testing {

// An Arrow array of `values`; nullopt is null.
template <typename Builder, typename T>
std::shared_ptr<arrow::Array> ArrayOf(const std::vector<std::optional<T>>& values) {
  Builder builder;
  for (const auto& value : values) {
    EXPECT_TRUE((value.has_value() ? builder.Append(*value) : builder.AppendNull()).ok());
  }
  return builder.Finish().ValueOrDie();
}
inline std::shared_ptr<arrow::Array> Int64s(const std::vector<std::optional<int64_t>>& values) {
  return ArrayOf<arrow::Int64Builder>(values);
}
inline std::shared_ptr<arrow::Array> Doubles(const std::vector<std::optional<double>>& values) {
  return ArrayOf<arrow::DoubleBuilder>(values);
}
inline std::shared_ptr<arrow::Array> Strings(
    const std::vector<std::optional<std::string>>& values) {
  return ArrayOf<arrow::StringBuilder>(values);
}

// Lists; nullopt is a null list.
template <typename Builder, typename T>
std::shared_ptr<arrow::Array> ListsOf(const std::vector<std::optional<std::vector<T>>>& lists) {
  auto values = std::make_shared<Builder>();
  arrow::ListBuilder builder(arrow::default_memory_pool(), values);
  for (const auto& list : lists) {
    EXPECT_TRUE((list.has_value() ? builder.Append() : builder.AppendNull()).ok());
    for (size_t i = 0; list.has_value() && i < list->size(); ++i) {
      EXPECT_TRUE(values->Append((*list)[i]).ok());
    }
  }
  return builder.Finish().ValueOrDie();
}

using NamedColumns = std::vector<std::pair<std::string, std::shared_ptr<arrow::Array>>>;

class RawFolder {
 public:
  // `parent`: where the folder is made, with the name of the test.
  explicit RawFolder(const std::string& parent = ::testing::TempDir()) {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    path_ = absl::StrCat(parent, "/", info->test_suite_name(), ".", info->name(), ".", ::getpid());
    for (char& c : path_) {
      c = c == '\\' ? '_' : c;
    }
    EXPECT_TRUE(LocalFiles().RemoveAll(path_).ok());
    EXPECT_TRUE(LocalFiles().MakeDirectories(path_).ok());
  }
  ~RawFolder() { EXPECT_TRUE(LocalFiles().RemoveAll(path_).ok()); }
  RawFolder(const RawFolder&) = delete;
  RawFolder& operator=(const RawFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return absl::StrCat(path_, "/", name); }
  std::string prepared() const { return File("prepared"); }

  void Write(const std::string& name, std::string_view text) const {
    EXPECT_TRUE(WriteFileAtomically(LocalFiles(), File(name), text).ok());
  }
  void WriteParquet(const std::string& name, const NamedColumns& columns,
                    int64_t rows_per_group = 1 << 20) const {
    std::vector<std::shared_ptr<arrow::Field>> fields;
    std::vector<std::shared_ptr<arrow::Array>> arrays;
    for (const auto& [column, array] : columns) {
      fields.push_back(arrow::field(column, array->type()));
      arrays.push_back(array);
    }
    const auto table = arrow::Table::Make(arrow::schema(fields), arrays);
    auto out = arrow::io::FileOutputStream::Open(File(name)).ValueOrDie();
    const auto written =
        parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), out, rows_per_group);
    EXPECT_TRUE(written.ok()) << written.ToString();
    EXPECT_TRUE(out->Close().ok());
  }

  // `text` in protobuf text format; "$D" stands for this folder. prepared_dir is set.
  data::DataConfig Config(std::string text) const {
    for (size_t at; (at = text.find("$D")) != std::string::npos;) {
      text.replace(at, 2, path_);
    }
    data::DataConfig config;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
    if (!config.has_prepared_dir()) {
      config.set_prepared_dir(prepared());
    }
    return config;
  }
  absl::StatusOr<data::PrepareResult> Prepare(const std::string& text) const {
    return data::Prepare(LocalFiles(), Config(text), {.force = false, .verbose = false});
  }
  std::unique_ptr<data::Dataset> PrepareAndOpen(const std::string& text) const {
    const data::DataConfig config = Config(text);
    const auto result = data::Prepare(LocalFiles(), config, {.force = true, .verbose = false});
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) {
      return nullptr;
    }
    auto dataset = data::Dataset::Open(LocalFiles(), result->folder);
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    return dataset.ok() ? *std::move(dataset) : nullptr;
  }

 private:
  std::string path_;
};

// "user:item item item" for each user with rows, in the order of rows.
inline std::vector<std::string> Lines(const data::Dataset& dataset,
                                      const data::Interactions& part) {
  std::vector<std::string> lines;
  for (int64_t user = 0; user < dataset.users().rows(); ++user) {
    std::string line = dataset.users().Id(user) + ":";
    for (const int32_t item : part.ItemsOf(user)) {
      absl::StrAppend(&line, " ", dataset.items().Id(item));
    }
    if (!part.ItemsOf(user).empty()) {
      lines.push_back(line);
    }
  }
  return lines;
}

inline std::vector<std::string> IdsOf(const data::Features& side) {
  std::vector<std::string> ids;
  for (int64_t row = 0; row < side.rows(); ++row) {
    ids.push_back(side.Id(row));
  }
  return ids;
}

}  // namespace torii::testing
