// Which dataset serves: what is compared with the raw files, and where one with other settings goes.
#include "data/prepare/find_dataset.h"

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "data/prepare/prepare.h"
#include "data/prepared_layout.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/raw_folder.h"

namespace torii::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::RawFolder;

constexpr char kPlain[] = R"(interactions { path: "$D/x.csv" } )";
constexpr char kSplit[] = R"(interactions { path: "$D/x.csv" } split { last_k: 1 })";
constexpr char kRows[] = "user_id,item_id\n1,5\n1,6\n2,5\n2,7\n";

absl::StatusOr<PrepareResult> PrepareWith(const RawFolder& raw, const std::string& config,
                                          PrepareOptions options) {
  options.verbose = false;
  return Prepare(LocalFiles(), raw.Config(config), options);
}

// Other content of the same size, with the time of the old content if `hidden`.
void Change(const RawFolder& raw, const std::string& name, bool hidden) {
  const std::string path = raw.File(name);
  const auto time = std::filesystem::last_write_time(path);
  std::string text = *ReadFile(LocalFiles(), path);
  text.back() == '\n' ? text[text.size() - 2] = '9' : text.back() = '9';
  raw.Write(name, text);
  std::filesystem::last_write_time(path, hidden ? time : time + std::chrono::seconds(5));
}

TEST(FindDatasetTest, RawFilesAreComparedBySizeAndTimeAndOnDemandByContent) {
  const RawFolder raw;
  raw.Write("x.csv", kRows);
  ASSERT_TRUE(raw.Prepare(kPlain).ok());

  Change(raw, "x.csv", /*hidden=*/true);
  EXPECT_TRUE(raw.Prepare(kPlain)->reused);
  const auto verified = PrepareWith(raw, kPlain, {.verify = true});
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_FALSE(verified->reused);
  EXPECT_TRUE(PrepareWith(raw, kPlain, {.verify = true})->reused);

  raw.Write("x.csv", kRows);
  Change(raw, "x.csv", /*hidden=*/false);
  EXPECT_TRUE(raw.Prepare(kPlain)->reused) << "the content is the one that was prepared";
  raw.Write("x.csv", kRows);
  std::filesystem::last_write_time(
      raw.File("x.csv"), std::filesystem::file_time_type::clock::now() + std::chrono::seconds(9));
  EXPECT_FALSE(raw.Prepare(kPlain)->reused);
}

TEST(FindDatasetTest, OneFileMoreOrOtherNamesAreOtherData) {
  const RawFolder raw;
  raw.Write("x1.csv", kRows);
  const std::string config = R"(interactions { path: "$D/x*.csv" })";
  ASSERT_TRUE(raw.Prepare(config).ok());
  EXPECT_TRUE(raw.Prepare(config)->reused);
  raw.Write("x2.csv", kRows);
  EXPECT_FALSE(raw.Prepare(config)->reused);
  ASSERT_EQ(std::rename(raw.File("x2.csv").c_str(), raw.File("x3.csv").c_str()), 0);
  EXPECT_FALSE(raw.Prepare(config)->reused);
}

TEST(FindDatasetTest, OtherSettingsGoIntoAFolderBeside) {
  const RawFolder raw;
  raw.Write("x.csv", kRows);
  const auto plain = raw.Prepare(kPlain);
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(plain->folder, raw.prepared());

  const auto split = raw.Prepare(kSplit);
  ASSERT_TRUE(split.ok()) << split.status();
  EXPECT_FALSE(split->reused);
  EXPECT_EQ(split->dataset.test_rows(), 2);
  EXPECT_TRUE(IsBeside(split->folder, raw.prepared())) << split->folder;
  EXPECT_FALSE(IsBeside(raw.prepared(), raw.prepared()));

  // Both are there, and each is found again.
  EXPECT_EQ(raw.Prepare(kSplit)->folder, split->folder);
  EXPECT_TRUE(raw.Prepare(kSplit)->reused);
  EXPECT_EQ(raw.Prepare(kPlain)->folder, raw.prepared());
  EXPECT_TRUE(raw.Prepare(kPlain)->reused);
  // Other rows replace the dataset with the same settings.
  raw.Write("x.csv", absl::StrCat(kRows, "3,5\n"));
  EXPECT_FALSE(raw.Prepare(kSplit)->reused);
  EXPECT_EQ(raw.Prepare(kSplit)->dataset.read_rows(), 5);
  EXPECT_THAT(*LocalFiles().List(raw.path()),
              ElementsAre("prepared", BaseName(split->folder), "x.csv"));
  // Unless somebody wants this very folder.
  const auto forced = PrepareWith(raw, kSplit, {.force = true});
  ASSERT_TRUE(forced.ok()) << forced.status();
  EXPECT_EQ(forced->folder, raw.prepared());
}

TEST(FindDatasetTest, TwoSettingsAtOnceGetAFolderEach) {
  const RawFolder raw;
  raw.Write("x.csv", kRows);
  for (int round = 0; round < 5; ++round) {
    std::vector<std::thread> processes;
    for (int i = 0; i < 6; ++i) {
      processes.emplace_back([&raw, i] {
        const auto result = raw.Prepare(i % 2 == 0 ? kPlain : kSplit);
        ASSERT_TRUE(result.ok()) << result.status();
        EXPECT_EQ(result->dataset.test_rows(), i % 2 == 0 ? 0 : 2);
        EXPECT_EQ(ReadPreparedMeta(LocalFiles(), result->folder)->test_rows(), i % 2 == 0 ? 0 : 2);
      });
    }
    for (std::thread& process : processes) process.join();
    const auto names = LocalFiles().List(raw.path());
    ASSERT_EQ(names->size(), 3);
    ASSERT_TRUE(LocalFiles().RemoveAll(raw.prepared()).ok());
    ASSERT_TRUE(LocalFiles().RemoveAll(raw.File((*names)[1])).ok());
  }
}

// A project with relative paths may be anywhere.
TEST(FindDatasetTest, AProjectThatMovedAsAWholeIsUpToDate) {
  const RawFolder raw;
  const std::filesystem::path before = std::filesystem::current_path();
  const std::string config = R"(prepared_dir: "prep" interactions { path: "raw/x.csv" })";
  ASSERT_TRUE(LocalFiles().MakeDirectories(raw.File("here/raw")).ok());
  raw.Write("here/raw/x.csv", kRows);
  std::filesystem::current_path(raw.File("here"));
  const auto first = raw.Prepare(config);
  std::filesystem::current_path(raw.path());
  ASSERT_EQ(std::rename("here", "there"), 0);
  std::filesystem::current_path(raw.File("there"));
  const auto second = raw.Prepare(config);
  std::filesystem::current_path(before);

  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(second->reused);
  EXPECT_EQ(second->dataset.source(0).path(), "raw/x.csv");
}

TEST(FindDatasetTest, ADatasetIsTakenAsItIsWhereverItsRawFilesWere) {
  const RawFolder raw;
  raw.Write("x.csv", kRows);
  ASSERT_TRUE(raw.Prepare(kSplit).ok());
  ASSERT_TRUE(LocalFiles().RemoveAll(raw.File("x.csv")).ok());
  const std::string elsewhere = R"(interactions { path: "/elsewhere/y.csv" quotes: true } )";

  EXPECT_EQ(
      ExitCodeOf(PrepareWith(raw, R"(interactions { path: "$D/y.csv" } split { last_k: 1 })", {})
                     .status()),
      ExitCode::kNoInput);
  const auto taken =
      PrepareWith(raw, R"(interactions { path: "$D/y.csv" user: "user_id" } split { last_k: 1 })",
                  {.as_it_is = true});
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_TRUE(taken->reused);
  EXPECT_EQ(taken->dataset.test_rows(), 2);

  const auto other =
      PrepareWith(raw, absl::StrCat(elsewhere, "split { last_k: 2 }"), {.as_it_is = true});
  EXPECT_EQ(ExitCodeOf(other.status()), ExitCode::kConfig);
  EXPECT_THAT(std::string(other.status().message()), HasSubstr("split.last_k: 1 -> 2"));

  raw.Write("prepared/train.item.i32", "damaged");
  EXPECT_EQ(ExitCodeOf(PrepareWith(raw, kSplit, {.as_it_is = true}).status()), ExitCode::kData);
  ASSERT_TRUE(LocalFiles().RemoveAll(raw.prepared()).ok());
  EXPECT_EQ(ExitCodeOf(PrepareWith(raw, kSplit, {.as_it_is = true}).status()), ExitCode::kNoInput);
}

}  // namespace
}  // namespace torii::data
