#include "data/dataset.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "base/exit_code.h"
#include "gtest/gtest.h"
#include "tests/support/fake_dataset.h"
#include "tests/support/prepared_folder.h"

namespace torii::data {
namespace {

using ::torii::testing::FakeDataset;
using ::torii::testing::FakeDatasetOptions;
using ::torii::testing::PreparedFolderWriter;

template <typename T>
std::vector<T> ToVector(std::span<const T> values) {
  return {values.begin(), values.end()};
}

// A prepared folder of its own for each test, made from a FakeDataset.
class DatasetTest : public ::testing::Test {
 protected:
  void Prepare(const FakeDatasetOptions& options) {
    fake_ = std::make_unique<FakeDataset>(options);
    folder_ =
        JoinPath(::testing::TempDir(),
                 absl::StrCat("dataset_test.",
                              ::testing::UnitTest::GetInstance()->current_test_info()->name()));
    ASSERT_TRUE(LocalFiles().RemoveAll(folder_).ok());
    writer_ = std::make_unique<PreparedFolderWriter>(LocalFiles(), folder_, *fake_);
    const absl::Status status = writer_->Write();
    ASSERT_TRUE(status.ok()) << status;
  }
  void TearDown() override { ASSERT_TRUE(LocalFiles().RemoveAll(folder_).ok()); }

  std::unique_ptr<Dataset> Open() {
    absl::StatusOr<std::unique_ptr<Dataset>> dataset = Dataset::Open(LocalFiles(), folder_);
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    return dataset.ok() ? *std::move(dataset) : nullptr;
  }
  void ExpectRefused(const std::string& what, bool verify_digests = true) {
    const auto dataset = Dataset::Open(LocalFiles(), folder_, verify_digests);
    ASSERT_FALSE(dataset.ok()) << "opened, expected: " << what;
    EXPECT_EQ(ExitCodeOf(dataset.status()), ExitCode::kData) << dataset.status();
    EXPECT_NE(dataset.status().ToString().find(what), std::string::npos) << dataset.status();
  }
  // Replaces the file's content by change(content), behind the back of the metadata.
  void Damage(const std::string& name, const std::function<void(std::string&)>& change) {
    absl::StatusOr<std::string> content = ReadFile(LocalFiles(), JoinPath(folder_, name));
    ASSERT_TRUE(content.ok()) << content.status();
    change(*content);
    ASSERT_TRUE(WriteFileAtomically(LocalFiles(), JoinPath(folder_, name), *content).ok());
  }
  // Writes an array again with one value changed, metadata and digest included: only the check of
  // the values themselves can find it.
  template <typename T>
  void Replace(const std::string& name, std::span<const T> values, size_t at, T value) {
    std::vector<T> changed = ToVector(values);
    changed.at(at) = value;
    ASSERT_TRUE(writer_->Array(name, changed).ok());
    ASSERT_TRUE(writer_->WriteMeta().ok());
  }

  std::unique_ptr<FakeDataset> fake_;
  std::string folder_;
  std::unique_ptr<PreparedFolderWriter> writer_;
};

void ExpectSameInteractions(const Interactions& a, const Interactions& b) {
  EXPECT_EQ(ToVector(a.user_begin), ToVector(b.user_begin));
  EXPECT_EQ(ToVector(a.user), ToVector(b.user));
  EXPECT_EQ(ToVector(a.item), ToVector(b.item));
  EXPECT_EQ(ToVector(a.weight), ToVector(b.weight));
  EXPECT_EQ(ToVector(a.time), ToVector(b.time));
}

void ExpectSameFeatures(const Features& a, const Features& b, std::span<const int64_t> rows,
                        std::span<const int> which) {
  const FeatureRows x = a.Gather(rows, which);
  const FeatureRows y = b.Gather(rows, which);
  EXPECT_EQ(x.n, y.n);
  ASSERT_EQ(x.bags.size(), y.bags.size());
  for (size_t k = 0; k < x.bags.size(); ++k) {
    EXPECT_EQ(x.bags[k].offsets, y.bags[k].offsets) << "feature " << k;
    EXPECT_EQ(x.bags[k].values, y.bags[k].values) << "feature " << k;
  }
  EXPECT_EQ(x.dense, y.dense);
}

TEST_F(DatasetTest, GivesBackWhatWasWritten) {
  Prepare({.users = 53, .items = 41, .valid_per_user = 2, .weights = true});
  const auto dataset = Open();
  ASSERT_NE(dataset, nullptr);

  ExpectSameInteractions(dataset->train(), fake_->train());
  ExpectSameInteractions(dataset->valid(), fake_->valid());
  ExpectSameInteractions(dataset->test(), fake_->test());
  EXPECT_EQ(ToVector(dataset->item_counts()), ToVector(fake_->item_counts()));
  EXPECT_EQ(dataset->users().rows(), 53);
  EXPECT_EQ(dataset->items().rows(), 41);
  EXPECT_EQ(dataset->meta().train_rows(), fake_->train().size());
  EXPECT_EQ(dataset->items().info().size(), 4u);
  EXPECT_EQ(dataset->items().info()[1].name(), "bag");
}

TEST_F(DatasetTest, OpensAnEmptyDatasetAndOneWithoutWeights) {
  Prepare({.users = 0, .items = 0});
  const auto empty = Open();
  ASSERT_NE(empty, nullptr);
  EXPECT_EQ(empty->train().size(), 0);
  EXPECT_EQ(empty->items().Gather({}, std::vector<int>{0, 1, 2, 3}).n, 0);
  EXPECT_EQ(empty->items().FindRow("1000"), std::nullopt);

  Prepare({.users = 2, .items = 1, .weights = false});
  const auto small = Open();
  ASSERT_NE(small, nullptr);
  EXPECT_TRUE(small->train().weight.empty());
}

TEST_F(DatasetTest, GathersUnsortedAndRepeatedRowsOfTheFeaturesAskedFor) {
  Prepare({});
  const auto dataset = Open();
  ASSERT_NE(dataset, nullptr);
  std::vector<int64_t> many;
  for (int64_t i = 0; i < 1000; ++i) many.push_back(i * i % 37);
  for (const std::vector<int64_t>& rows :
       {std::vector<int64_t>{}, {39}, {5, 5, 5}, {38, 0, 17, 0, 38, 1}, many}) {
    for (const std::vector<int>& which : {std::vector<int>{}, {0}, {1}, {3, 2}, {0, 1, 2, 3}}) {
      ExpectSameFeatures(dataset->items(), fake_->items(), rows, which);
      ExpectSameFeatures(dataset->users(), fake_->users(), rows, which);
    }
  }
}

TEST_F(DatasetTest, FindsEveryIdAndNoOther) {
  Prepare({.users = 131});
  const auto dataset = Open();
  ASSERT_NE(dataset, nullptr);
  for (int64_t row = 0; row < 131; ++row) {
    EXPECT_EQ(dataset->users().FindRow(fake_->users().Id(row)), row);
    EXPECT_EQ(dataset->users().Id(row), fake_->users().Id(row));
    EXPECT_EQ(dataset->users().Title(row), fake_->users().Title(row));
  }
  for (int64_t row = 0; row < 40; ++row) {
    EXPECT_EQ(dataset->items().FindRow(fake_->items().Id(row)), row);
    EXPECT_EQ(dataset->items().IntegerId(row), 1000 + row);
  }
  for (const char* absent : {"", "u", "u131", "zzz", "7", "U7"}) {
    EXPECT_EQ(dataset->users().FindRow(absent), std::nullopt) << absent;
  }
  for (const char* absent : {"", "999", "1040", "1000x", " 1000", "99999999999999999999"}) {
    EXPECT_EQ(dataset->items().FindRow(absent), std::nullopt) << absent;
  }
}

TEST_F(DatasetTest, DigestFollowsTheContent) {
  Prepare({.seed = 1});
  const std::string first = Open()->digest();
  const std::string again = Open()->digest();
  Prepare({.seed = 2});
  const std::string other = Open()->digest();

  EXPECT_EQ(first, again);
  EXPECT_NE(first, other);
}

TEST_F(DatasetTest, SaysWhatToDoWhenThereIsNoDataset) {
  folder_ = JoinPath(::testing::TempDir(), "dataset_test.nowhere");

  const auto dataset = Dataset::Open(LocalFiles(), folder_);

  EXPECT_EQ(ExitCodeOf(dataset.status()), ExitCode::kNoInput) << dataset.status();
  EXPECT_NE(dataset.status().ToString().find("torii prepare"), std::string::npos);
}

TEST_F(DatasetTest, NamesEveryFileThatIsTruncatedChangedOrMissing) {
  Prepare({.valid_per_user = 1, .weights = true});
  std::vector<std::string> names;
  for (const PreparedFile& file : writer_->meta().file()) names.push_back(file.name());
  ASSERT_GE(names.size(), 30u);
  for (const std::string& name : names) {
    const std::string path = JoinPath(folder_, name);
    const std::string content = ReadFile(LocalFiles(), path).value();

    Damage(name, [](std::string& bytes) { bytes.pop_back(); });
    ExpectRefused(path);
    ExpectRefused(path, /*verify_digests=*/false);
    Damage(name, [&](std::string& bytes) {
      bytes = content;
      bytes.back() = static_cast<char>(bytes.back() ^ 1);
    });
    ExpectRefused(path);
    ASSERT_TRUE(LocalFiles().RemoveAll(path).ok());
    ExpectRefused(path);

    ASSERT_TRUE(WriteFileAtomically(LocalFiles(), path, content).ok());
  }
  EXPECT_NE(Open(), nullptr);
}

TEST_F(DatasetTest, RefusesValuesOutOfRangeNamingFileAndPosition) {
  Prepare({.weights = true});
  const Interactions& train = fake_->train();
  const std::string bad_item = JoinPath(folder_, "train.item.i32");
  Replace<int32_t>("train.item.i32", train.item, 17, 40);
  ExpectRefused(bad_item + ": value 17 is 40");
  ExpectRefused(bad_item + ": value 17 is 40", /*verify_digests=*/false);
  Replace<int32_t>("train.item.i32", train.item, 3, -1);
  ExpectRefused(bad_item + ": value 3 is -1");
  Replace<int32_t>("train.item.i32", train.item, 3, train.item[3]);

  Replace<int32_t>("train.user.i32", train.user, 0, 49);
  ExpectRefused("train.user.i32: value 0 is 49");
  Replace<int32_t>("train.user.i32", train.user, 0, 0);

  Replace<int64_t>("test.user_begin.i64", fake_->test().user_begin, 10, 1000);
  ExpectRefused("test.user_begin.i64: value 11 is 11");
  Replace<int64_t>("test.user_begin.i64", fake_->test().user_begin, 50, 51);
  ExpectRefused("test.user_begin.i64: value 50 is 51");
  Replace<int64_t>("test.user_begin.i64", fake_->test().user_begin, 0, 0);

  Replace<float>("train.weight.f32", train.weight, 5, std::nanf(""));
  ExpectRefused("train.weight.f32: value 5 is nan");
  Replace<float>("train.weight.f32", train.weight, 5, train.weight[5]);

  Replace<int64_t>("item_counts.i64", fake_->item_counts(), 1, 1 << 20);
  ExpectRefused("item_counts.i64: value 1 is 1048576");
}

TEST_F(DatasetTest, RefusesDamagedFeaturesAndIds) {
  Prepare({});
  const FeatureRows all = [this] {
    std::vector<int64_t> rows(40);
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i);
    return fake_->items().Gather(rows, std::vector<int>{0, 1, 2, 3});
  }();
  const std::vector<int32_t> single(all.bags[0].values.begin(), all.bags[0].values.end());
  const std::vector<int32_t> bag(all.bags[1].values.begin(), all.bags[1].values.end());
  const auto restore = [this](const std::string& name, const auto& values) {
    ASSERT_TRUE(writer_->Array(name, values).ok());
  };

  Replace<int32_t>("items.feature.0.values.i32", single, 39, 7);
  ExpectRefused("items.feature.0.values.i32: value 39 is 7");
  restore("items.feature.0.values.i32", single);
  Replace<int32_t>("items.feature.1.values.i32", bag, 2, 11);
  ExpectRefused("items.feature.1.values.i32: value 2 is 11");
  restore("items.feature.1.values.i32", bag);
  Replace<int64_t>("items.feature.1.offsets.i64", all.bags[1].offsets, 40, 1 << 30);
  ExpectRefused("items.feature.1.offsets.i64: value 40");
  restore("items.feature.1.offsets.i64", all.bags[1].offsets);
  Replace<float>("items.feature.3.values.f32", all.dense[3], 8,
                 std::numeric_limits<float>::infinity());
  ExpectRefused("items.feature.3.values.f32: value 8 is inf");
  restore("items.feature.3.values.f32", all.dense[3]);

  std::vector<int32_t> order(40);
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
  Replace<int32_t>("items.id_order.i32", order, 20, 19);
  ExpectRefused("items.id_order.i32: value 20 is 19");
  Replace<int32_t>("items.id_order.i32", order, 20, 40);
  ExpectRefused("items.id_order.i32: value 20 is 40");
}

TEST_F(DatasetTest, RefusesMetadataThatDoesNotFitTheFiles) {
  Prepare({});
  const PreparedDataset good = writer_->meta();
  const auto with = [&](const std::function<void(PreparedDataset&)>& change) {
    writer_->meta() = good;
    change(writer_->meta());
    ASSERT_TRUE(writer_->WriteMeta().ok());
  };

  with([](PreparedDataset& meta) { meta.set_train_rows(meta.train_rows() + 1); });
  ExpectRefused("train.user.i32: has");
  with([](PreparedDataset& meta) { meta.mutable_items()->set_rows(-1); });
  ExpectRefused("-1 items");
  with([](PreparedDataset& meta) { meta.mutable_items()->set_rows(41); });
  ExpectRefused("items.id_order.i32: has 40 values, expected 41");
  with([](PreparedDataset& meta) { meta.mutable_users()->mutable_feature(3)->set_width(6); });
  ExpectRefused("users.feature.3.values.f32: has 250 values, expected 300");
  with([](PreparedDataset& meta) { meta.mutable_users()->set_id_type(INTEGER); });
  ExpectRefused("users.ids.i64: is not listed");
  with([](PreparedDataset& meta) { meta.mutable_file()->RemoveLast(); });
  ExpectRefused("is not listed");
}

TEST(DatasetDeathTest, RefusesToGatherARowThatDoesNotExist) {
  const std::string folder = JoinPath(::testing::TempDir(), "dataset_test.death");
  const FakeDataset fake({});
  ASSERT_TRUE(PreparedFolderWriter(LocalFiles(), folder, fake).Write().ok());
  const auto dataset = Dataset::Open(LocalFiles(), folder);
  ASSERT_TRUE(dataset.ok());

  EXPECT_DEATH((void)(*dataset)->items().Gather(std::vector<int64_t>{3, 40}, {}), "row 40 of 40");
}

}  // namespace
}  // namespace torii::data
