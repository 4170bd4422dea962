#include "data/prepare/part_writer.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/status_macros.h"
#include "data/array_file.h"

namespace torii::data {
namespace {

constexpr char kScratchItems[] = "item_code";
constexpr int64_t kBlockRows = 1 << 18;

// The files of one part while they are written.
class PartFiles {
 public:
  static absl::StatusOr<PartFiles> Create(FileSystem& files, const PartOptions& options,
                                          Part part) {
    const auto path = [&](const char* array) {
      return JoinPath(options.folder, PartFile(part, array));
    };
    const int64_t n = options.sizes.of_part[static_cast<int>(part)];
    TORII_ASSIGN_OR_RETURN(BufferedFile begin,
                           BufferedFile::CreateArray(files, path("user_begin.i64"),
                                                     ArrayType::kInt64, options.users + 1));
    TORII_ASSIGN_OR_RETURN(BufferedFile user, BufferedFile::CreateArray(files, path("user.i32"),
                                                                        ArrayType::kInt32, n));
    TORII_ASSIGN_OR_RETURN(
        BufferedFile item,
        BufferedFile::Create(files, JoinPath(options.scratch, PartFile(part, kScratchItems))));
    PartFiles result(std::move(begin), std::move(user), std::move(item));
    result.users_ = options.users;
    result.times_ = &options.times;
    if (options.has_weight) {
      TORII_ASSIGN_OR_RETURN(result.weight_, BufferedFile::CreateArray(files, path("weight.f32"),
                                                                       ArrayType::kFloat32, n));
    }
    if (part != Part::kTrain) {
      TORII_ASSIGN_OR_RETURN(
          result.earlier_train_,
          BufferedFile::CreateArray(files, path(kEarlierTrain), ArrayType::kInt32, n));
    }
    if (part == Part::kTest) {
      TORII_ASSIGN_OR_RETURN(
          result.earlier_valid_,
          BufferedFile::CreateArray(files, path(kEarlierValid), ArrayType::kInt32, n));
    }
    if (options.has_time) {
      TORII_ASSIGN_OR_RETURN(
          result.time_, BufferedFile::CreateArray(files, path("time.i64"), ArrayType::kInt64, n));
    }
    return result;
  }

  // earlier [kNumParts]: rows of the user that came before, by part.
  absl::Status Append(const Interaction& row, std::span<const int32_t> earlier) {
    TORII_RETURN_IF_ERROR(BeginUsersUpTo(row.user + 1));
    ++rows_;
    TORII_RETURN_IF_ERROR(user_.AppendValue(row.user));
    TORII_RETURN_IF_ERROR(item_.AppendValue(row.item));
    if (weight_.has_value()) {
      TORII_RETURN_IF_ERROR(weight_->AppendValue(row.weight));
    }
    if (earlier_train_.has_value()) {
      TORII_RETURN_IF_ERROR(
          earlier_train_->AppendValue(earlier[static_cast<size_t>(Part::kTrain)]));
    }
    if (earlier_valid_.has_value()) {
      TORII_RETURN_IF_ERROR(
          earlier_valid_->AppendValue(earlier[static_cast<size_t>(Part::kValid)]));
    }
    if (time_.has_value()) {
      TORII_RETURN_IF_ERROR(time_->AppendValue(times_->TimeOfKey(row.time)));
    }
    return absl::OkStatus();
  }

  absl::Status Finish(std::vector<PreparedFile>* written) {
    TORII_RETURN_IF_ERROR(BeginUsersUpTo(users_ + 1));
    TORII_ASSIGN_OR_RETURN(written->emplace_back(), begin_.Finish());
    TORII_ASSIGN_OR_RETURN(written->emplace_back(), user_.Finish());
    for (std::optional<BufferedFile>* file : {&weight_, &earlier_train_, &earlier_valid_, &time_}) {
      if (file->has_value()) {
        TORII_ASSIGN_OR_RETURN(written->emplace_back(), (*file)->Finish());
      }
    }
    return item_.Close(BufferedFile::Durability::kScratch);
  }

 private:
  PartFiles(BufferedFile begin, BufferedFile user, BufferedFile item)
      : begin_(std::move(begin)), user_(std::move(user)), item_(std::move(item)) {}

  // Users before `count` have begun: their first row is at most rows_.
  absl::Status BeginUsersUpTo(int64_t count) {
    for (; begun_ < count; ++begun_) {
      TORII_RETURN_IF_ERROR(begin_.AppendValue(rows_));
    }
    return absl::OkStatus();
  }

  BufferedFile begin_;
  BufferedFile user_;
  BufferedFile item_;
  std::optional<BufferedFile> weight_;
  std::optional<BufferedFile> earlier_train_;
  std::optional<BufferedFile> earlier_valid_;
  std::optional<BufferedFile> time_;
  int64_t users_ = 0;
  const TimeReader* times_ = nullptr;
  int64_t rows_ = 0;
  int64_t begun_ = 0;
};

// Held-out rows of one user whose item is in the user's training rows as well.
int64_t PairsInTrainToo(std::span<const Interaction> rows, std::vector<int32_t>* scratch) {
  const bool held_out = std::any_of(
      rows.begin(), rows.end(), [](const Interaction& row) { return row.part != Part::kTrain; });
  if (!held_out) {
    return 0;
  }
  scratch->clear();
  for (const Interaction& row : rows) {
    if (row.part == Part::kTrain) {
      scratch->push_back(row.item);
    }
  }
  std::sort(scratch->begin(), scratch->end());
  return std::count_if(rows.begin(), rows.end(), [&](const Interaction& row) {
    return row.part != Part::kTrain &&
           std::binary_search(scratch->begin(), scratch->end(), row.item);
  });
}

}  // namespace

absl::StatusOr<WrittenParts> WriteParts(FileSystem& files, const PartOptions& options,
                                        const SplitRule& rule, SortedInteractions* sorted) {
  std::vector<PartFiles> parts;
  for (int p = 0; p < kNumParts; ++p) {
    TORII_ASSIGN_OR_RETURN(PartFiles part, PartFiles::Create(files, options, static_cast<Part>(p)));
    parts.push_back(std::move(part));
  }
  WrittenParts written;
  written.train_counts.resize(static_cast<size_t>(options.item_codes));
  std::vector<int32_t> scratch;
  const VisitUser write_user = [&](std::span<Interaction> rows) -> absl::Status {
    rule.Assign(rows);
    written.pairs_in_train_too += PairsInTrainToo(rows, &scratch);
    std::array<int32_t, kNumParts> earlier = {};
    for (const Interaction& row : rows) {
      if (row.part == Part::kTrain) {
        ++written.train_counts[static_cast<size_t>(row.item)];
      }
      const size_t part = static_cast<size_t>(row.part);
      TORII_RETURN_IF_ERROR(parts[part].Append(row, earlier));
      ++earlier[part];
    }
    return absl::OkStatus();
  };
  TORII_RETURN_IF_ERROR(sorted->ForEachUser(write_user));
  for (PartFiles& part : parts) {
    TORII_RETURN_IF_ERROR(part.Finish(&written.files));
  }
  return written;
}

absl::StatusOr<std::vector<PreparedFile>> WriteItemRows(FileSystem& files,
                                                        const PartOptions& options,
                                                        std::span<const int32_t> item_row) {
  std::vector<PreparedFile> written;
  std::vector<int32_t> block;
  for (int p = 0; p < kNumParts; ++p) {
    const Part part = static_cast<Part>(p);
    const std::string scratch = JoinPath(options.scratch, PartFile(part, kScratchItems));
    TORII_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> codes,
                           files.OpenForReading(scratch));
    const int64_t n = options.sizes.of_part[p];
    TORII_ASSIGN_OR_RETURN(
        BufferedFile out,
        BufferedFile::CreateArray(files, JoinPath(options.folder, PartFile(part, "item.i32")),
                                  ArrayType::kInt32, n));
    for (int64_t at = 0; at < n; at += kBlockRows) {
      const int64_t count = std::min(kBlockRows, n - at);
      block.resize(static_cast<size_t>(count));
      constexpr int64_t kBytes = sizeof(int32_t);
      TORII_RETURN_IF_ERROR(codes->ReadAt(at * kBytes, count * kBytes, block.data()));
      for (int32_t& item : block) {
        item = item_row[static_cast<size_t>(item)];
      }
      TORII_RETURN_IF_ERROR(out.AppendValues(std::span<const int32_t>(block)));
    }
    TORII_ASSIGN_OR_RETURN(written.emplace_back(), out.Finish());
  }
  return written;
}

}  // namespace torii::data
