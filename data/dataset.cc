#include "data/dataset.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <thread>
#include <utility>

#include "data/mapped_features.h"
#include "data/mapped_folder.h"
#include "data/prepared_layout.h"

namespace torii::data {
namespace {

// Verifies the digests with two threads, each with about half of the bytes.
absl::Status VerifyInParallel(FileSystem& files, const std::string& folder,
                              const PreparedDataset& meta) {
  // Sizes first: a missing or short file is a clearer message than a digest.
  TORII_RETURN_IF_ERROR(VerifyPreparedFiles(files, folder, meta, VerifyDepth::kSizes));
  std::vector<const PreparedFile*> by_size;
  for (const PreparedFile& file : meta.file()) by_size.push_back(&file);
  std::stable_sort(
      by_size.begin(), by_size.end(),
      [](const PreparedFile* a, const PreparedFile* b) { return a->size() > b->size(); });
  std::array<PreparedDataset, 2> half;
  std::array<int64_t, 2> bytes = {};
  for (const PreparedFile* file : by_size) {
    const size_t lighter = bytes[0] <= bytes[1] ? 0 : 1;
    bytes[lighter] += file->size();
    *half[lighter].add_file() = *file;
  }
  absl::Status other;
  std::thread thread(
      [&] { other = VerifyPreparedFiles(files, folder, half[1], VerifyDepth::kDigests); });
  const absl::Status own = VerifyPreparedFiles(files, folder, half[0], VerifyDepth::kDigests);
  thread.join();
  return own.ok() ? other : own;
}

// The arrays behind one Interactions.
struct MappedPart {
  MappedArray<int64_t> user_begin;
  MappedArray<int32_t> user;
  MappedArray<int32_t> item;
  MappedArray<float> weight;
  MappedArray<int64_t> time;
  MappedArray<int32_t> earlier_train;
  MappedArray<int32_t> earlier_valid;
  Interactions view;
};

// Row by row: users in order, in agreement with user_begin.
absl::Status CheckUsers(const MappedPart& part) {
  TORII_RETURN_IF_ERROR(CheckOffsets(part.user_begin, part.user.size()));
  for (int64_t u = 0; u + 1 < part.user_begin.size(); ++u) {
    for (int64_t row = part.user_begin[u]; row < part.user_begin[u + 1]; ++row) {
      if (part.user[row] != u) return BadValue(part.user, row, absl::StrCat("expected user ", u));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<MappedPart> OpenPart(const MappedFolder& folder, const PreparedDataset& meta,
                                    Part kind, int64_t rows) {
  MappedPart part;
  TORII_ASSIGN_OR_RETURN(part.user_begin, folder.Open<int64_t>(PartFile(kind, "user_begin.i64"),
                                                               meta.users().rows() + 1));
  TORII_ASSIGN_OR_RETURN(part.user, folder.Open<int32_t>(PartFile(kind, "user.i32"), rows));
  TORII_ASSIGN_OR_RETURN(part.item, folder.Open<int32_t>(PartFile(kind, "item.i32"), rows));
  if (meta.has_weight()) {
    TORII_ASSIGN_OR_RETURN(part.weight, folder.Open<float>(PartFile(kind, "weight.f32"), rows));
    TORII_RETURN_IF_ERROR(CheckNumbers(part.weight, Sign::kNotNegative));
  }
  if (meta.has_time()) {
    TORII_ASSIGN_OR_RETURN(part.time, folder.Open<int64_t>(PartFile(kind, "time.i64"), rows));
  }
  TORII_RETURN_IF_ERROR(CheckUsers(part));
  TORII_RETURN_IF_ERROR(CheckRows(part.item, meta.items().rows()));
  part.view = {part.user_begin.values,
               part.user.values,
               part.item.values,
               part.weight.values,
               part.time.values,
               {},
               {}};
  return part;
}

// Within a user the counts never fall and never exceed the user's rows of the other part.
absl::Status CheckEarlier(const MappedArray<int32_t>& earlier, const MappedPart& part,
                          const MappedPart& other) {
  for (int64_t row = 0; row < earlier.size(); ++row) {
    const int64_t user = part.user[row];
    const bool first = row == part.user_begin[user];
    if (earlier[row] < (first ? 0 : earlier[row - 1]) ||
        earlier[row] > other.user_begin[user + 1] - other.user_begin[user]) {
      return BadValue(earlier, row, "expected the number of earlier rows of the user");
    }
  }
  return absl::OkStatus();
}

// Maps which rows of the other parts are earlier than those of a held-out part.
absl::Status OpenEarlier(const MappedFolder& folder, Part kind, const MappedPart& train,
                         const MappedPart* valid, MappedPart* part) {
  TORII_ASSIGN_OR_RETURN(part->earlier_train,
                         folder.Open<int32_t>(PartFile(kind, kEarlierTrain), part->user.size()));
  TORII_RETURN_IF_ERROR(CheckEarlier(part->earlier_train, *part, train));
  if (valid != nullptr) {
    TORII_ASSIGN_OR_RETURN(part->earlier_valid,
                           folder.Open<int32_t>(PartFile(kind, kEarlierValid), part->user.size()));
    TORII_RETURN_IF_ERROR(CheckEarlier(part->earlier_valid, *part, *valid));
  }
  part->view.earlier_train = part->earlier_train.values;
  part->view.earlier_valid = part->earlier_valid.values;
  return absl::OkStatus();
}

// Never increasing, and as many as there are training rows.
absl::Status CheckItemCounts(const MappedArray<int64_t>& counts, int64_t train_rows) {
  int64_t left = train_rows;
  for (int64_t i = 0; i < counts.size(); ++i) {
    if (counts[i] < 0 || counts[i] > left || (i > 0 && counts[i] > counts[i - 1])) {
      return BadValue(counts, i, "counts never increase and add up to the training rows");
    }
    left -= counts[i];
  }
  if (left == 0) return absl::OkStatus();
  return DataError(absl::StrCat(counts.path, ": the counts add up to ", train_rows - left,
                                ", there are ", train_rows,
                                " training rows; run `torii prepare` again"));
}

class MappedDataset final : public Dataset {
 public:
  explicit MappedDataset(PreparedDataset meta)
      : meta_(std::move(meta)), digest_(PreparedContentDigest(meta_)) {}

  absl::Status Open(FileSystem& files, const std::string& folder_path) {
    const MappedFolder folder(files, folder_path, meta_);
    TORII_ASSIGN_OR_RETURN(users_, OpenFeatures(folder, SideKind::kUsers, meta_.users()));
    TORII_ASSIGN_OR_RETURN(items_, OpenFeatures(folder, SideKind::kItems, meta_.items()));
    TORII_ASSIGN_OR_RETURN(train_, OpenPart(folder, meta_, Part::kTrain, meta_.train_rows()));
    TORII_ASSIGN_OR_RETURN(valid_, OpenPart(folder, meta_, Part::kValid, meta_.valid_rows()));
    TORII_ASSIGN_OR_RETURN(test_, OpenPart(folder, meta_, Part::kTest, meta_.test_rows()));
    TORII_RETURN_IF_ERROR(OpenEarlier(folder, Part::kValid, train_, nullptr, &valid_));
    TORII_RETURN_IF_ERROR(OpenEarlier(folder, Part::kTest, train_, &valid_, &test_));
    TORII_ASSIGN_OR_RETURN(item_counts_,
                           folder.Open<int64_t>(kItemCountsFile, meta_.items().rows()));
    return CheckItemCounts(item_counts_, meta_.train_rows());
  }

  const PreparedDataset& meta() const override { return meta_; }
  const Features& users() const override { return *users_; }
  const Features& items() const override { return *items_; }
  const Interactions& train() const override { return train_.view; }
  const Interactions& valid() const override { return valid_.view; }
  const Interactions& test() const override { return test_.view; }
  std::span<const int64_t> item_counts() const override { return item_counts_.values; }
  const std::string& digest() const override { return digest_; }

 private:
  const PreparedDataset meta_;
  const std::string digest_;
  std::unique_ptr<Features> users_;
  std::unique_ptr<Features> items_;
  MappedPart train_;
  MappedPart valid_;
  MappedPart test_;
  MappedArray<int64_t> item_counts_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Dataset>> Dataset::Open(FileSystem& files, const std::string& folder,
                                                       bool verify_digests) {
  TORII_ASSIGN_OR_RETURN(PreparedDataset meta, ReadPreparedMeta(files, folder));
  TORII_RETURN_IF_ERROR(verify_digests
                            ? VerifyInParallel(files, folder, meta)
                            : VerifyPreparedFiles(files, folder, meta, VerifyDepth::kSizes));
  auto dataset = std::make_unique<MappedDataset>(std::move(meta));
  TORII_RETURN_IF_ERROR(dataset->Open(files, folder));
  return dataset;
}

}  // namespace torii::data
