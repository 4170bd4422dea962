#include "exports/export_files.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <parquet/arrow/reader.h>
#include <unistd.h>

#include <cstring>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/files/fault_file_system.h"
#include "gtest/gtest.h"

namespace torii::exports {
namespace {

std::string Folder() {
  const std::string path =
      JoinPath(::testing::TempDir(), absl::StrCat("export_files_", ::getpid()));
  EXPECT_TRUE(LocalFiles().MakeDirectories(path).ok());
  return path;
}

std::string Content(const std::string& name) {
  const absl::StatusOr<std::string> text = ReadFile(LocalFiles(), JoinPath(Folder(), name));
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *text : "";
}

std::shared_ptr<arrow::Table> ReadTable(const std::string& name) {
  auto file = arrow::io::ReadableFile::Open(JoinPath(Folder(), name)).ValueOrDie();
  auto reader = parquet::arrow::OpenFile(file, arrow::default_memory_pool()).ValueOrDie();
  return reader->ReadTable().ValueOrDie();
}

TEST(NpyHeaderTest, IsAsNumpyWritesIt) {
  const int64_t matrix[] = {3, 64};
  const std::string header = NpyHeader("<f4", matrix);
  EXPECT_EQ(header.size() % 64, 0u);
  EXPECT_EQ(header.substr(0, 8), std::string("\x93NUMPY\x01\0", 8));
  const size_t length =
      static_cast<unsigned char>(header[8]) + size_t{256} * static_cast<unsigned char>(header[9]);
  EXPECT_EQ(length, header.size() - 10);
  EXPECT_EQ(header.find("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 64), }"), 10u);
  EXPECT_EQ(header.back(), '\n');
  const int64_t list[] = {5};
  EXPECT_NE(NpyHeader("<i8", list).find("'shape': (5,), }"), std::string::npos);
}

TEST(NpyHeaderTest, IsAMultipleOf64WhateverTheShape) {
  for (int64_t n = 1; n < int64_t{1} << 60; n *= 7) {
    const int64_t shape[] = {n, n, n};
    EXPECT_EQ(NpyHeader("|S12", shape).size() % 64, 0u) << n;
  }
}

TEST(WriteIdsTest, IntegersAndTexts) {
  const std::vector<int64_t> integers = {5, -1, int64_t{1} << 40};
  ASSERT_TRUE(WriteIntegerIds(LocalFiles(), Folder(), "i.npy", integers).ok());
  const std::string bytes = Content("i.npy");
  ASSERT_EQ(bytes.size() % 64, 24u);
  EXPECT_EQ(std::memcmp(bytes.data() + bytes.size() - 24, integers.data(), 24), 0);

  const absl::StatusOr<ExportedFile> text =
      WriteTextIds(LocalFiles(), Folder(), "t.npy", {"abc", "", "z"});
  ASSERT_TRUE(text.ok()) << text.status();
  const std::string texts = Content("t.npy");
  EXPECT_NE(texts.find("'|S3'"), std::string::npos);
  EXPECT_EQ(texts.substr(texts.size() - 9), std::string("abc\0\0\0z\0\0", 9));
  EXPECT_EQ(text->size, static_cast<int64_t>(texts.size()));
  EXPECT_EQ(text->digest, DigestOf(texts));

  EXPECT_TRUE(WriteTextIds(LocalFiles(), Folder(), "none.npy", {}).ok());
}

TEST(VectorTableTest, ReadsBackWithIdsTitlesAndVectors) {
  absl::StatusOr<std::unique_ptr<VectorTable>> table = VectorTable::Create(
      LocalFiles(), Folder(), "items.parquet", {.dim = 3, .integer_ids = true, .titles = true});
  ASSERT_TRUE(table.ok()) << table.status();
  std::vector<float> vectors(15);
  std::iota(vectors.begin(), vectors.end(), 0.5F);
  IdBlock first;
  first.integers = {10, 11};
  first.titles = {"ten", "eleven"};
  IdBlock second;
  second.integers = {12, 13, 14};
  second.titles = {"", "x", "y"};
  ASSERT_TRUE((*table)->Append(first, std::span(vectors).first(6)).ok());
  ASSERT_TRUE((*table)->Append(second, std::span(vectors).subspan(6)).ok());
  const absl::StatusOr<ExportedFile> file = (*table)->Close();
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->digest, DigestOf(Content("items.parquet")));

  const std::shared_ptr<arrow::Table> read = ReadTable("items.parquet");

  ASSERT_TRUE(read->ValidateFull().ok());
  EXPECT_EQ(read->num_rows(), 5);
  EXPECT_EQ(read->schema()->field_names(), (std::vector<std::string>{"id", "title", "vector"}));
  const auto& type = *read->schema()->field(2)->type();
  ASSERT_EQ(type.id(), arrow::Type::FIXED_SIZE_LIST);
  EXPECT_EQ(static_cast<const arrow::FixedSizeListType&>(type).list_size(), 3);
  const auto row = read->column(2)->GetScalar(4).ValueOrDie();
  const auto& list = static_cast<const arrow::BaseListScalar&>(*row);
  EXPECT_EQ(static_cast<const arrow::FloatArray&>(*list.value).Value(2), 14.5F);
  EXPECT_EQ(read->column(0)->GetScalar(3).ValueOrDie()->ToString(), "13");
  EXPECT_EQ(read->column(1)->GetScalar(1).ValueOrDie()->ToString(), "eleven");
}

TEST(VectorTableTest, TextIdsAndNoRows) {
  absl::StatusOr<std::unique_ptr<VectorTable>> table = VectorTable::Create(
      LocalFiles(), Folder(), "users.parquet", {.dim = 1, .integer_ids = false, .titles = false});
  ASSERT_TRUE(table.ok()) << table.status();
  ASSERT_TRUE((*table)->Append({}, {}).ok());
  IdBlock block;
  block.texts = {"a"};
  const std::vector<float> one = {2};
  ASSERT_TRUE((*table)->Append(block, one).ok());
  ASSERT_TRUE((*table)->Close().ok());
  const std::shared_ptr<arrow::Table> read = ReadTable("users.parquet");
  EXPECT_EQ(read->num_rows(), 1);
  EXPECT_EQ(read->column(0)->GetScalar(0).ValueOrDie()->ToString(), "a");
}

TEST(VectorTableTest, AFullDiskIsOurErrorWithItsExitCode) {
  for (int64_t call = 1; call < 4; ++call) {
    const auto files = FaultFileSystem::Create(LocalFiles(), FileFault::kDiskFull, call);
    absl::Status status;
    absl::StatusOr<std::unique_ptr<VectorTable>> table = VectorTable::Create(
        *files, Folder(), "full.parquet", {.dim = 2, .integer_ids = true, .titles = false});
    status = table.status();
    if (status.ok()) {
      IdBlock block;
      block.integers = {1};
      const std::vector<float> vector = {1, 2};
      status = (*table)->Append(block, vector);
      if (status.ok()) status = (*table)->Close().status();
    }
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kIo) << call << ": " << status;
    EXPECT_NE(std::string(status.message()).find("full.parquet"), std::string::npos) << status;
  }
}

}  // namespace
}  // namespace torii::exports
