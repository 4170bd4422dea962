#include "data/prepare/repeats.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/prepare/sorted_interactions.h"

namespace torii::data {
namespace {

// The rows of one user that stay, in order of time.
class OneUser {
 public:
  explicit OneUser(Filters::Repeats keep) : keep_(keep) {}

  absl::StatusOr<std::span<const Interaction>> Stay(std::span<const Interaction> rows) {
    stay_.clear();
    seen_.clear();
    for (const Interaction& row : rows) {
      const auto [place, first] = seen_.try_emplace(std::pair(row.part, row.item), stay_.size());
      if (first) {
        stay_.push_back(row);
        continue;
      }
      if (keep_ == Filters::FIRST) {
        continue;
      }
      // The latest row takes the place of the one before; the order is mended below.
      const float before = stay_[place->second].weight;
      stay_[place->second] = row;
      if (keep_ == Filters::COUNT_AS_WEIGHT) {
        stay_[place->second].weight += before;
        if (!std::isfinite(stay_[place->second].weight)) {
          return DataError(
              "filters.repeats: COUNT_AS_WEIGHT: the weights of a pair add up to more "
              "than a float32 can hold");
        }
      }
    }
    std::sort(stay_.begin(), stay_.end(), [](const Interaction& a, const Interaction& b) {
      return std::pair(a.time, a.order) < std::pair(b.time, b.order);
    });
    return std::span<const Interaction>(stay_);
  }

 private:
  const Filters::Repeats keep_;
  absl::flat_hash_map<std::pair<Part, int32_t>, size_t> seen_;  // -> place in stay_
  std::vector<Interaction> stay_;
};

}  // namespace

absl::StatusOr<int64_t> DropRepeats(FileSystem& files, const RepeatsOptions& options,
                                    InteractionSpill* from, InteractionSpill* to) {
  const int64_t before = from->rows();
  Kept all;
  all.users.assign(static_cast<size_t>(options.users), 1);
  all.items.assign(static_cast<size_t>(options.items), 1);
  std::vector<int32_t> user_row(static_cast<size_t>(options.users));
  std::iota(user_row.begin(), user_row.end(), 0);
  TORII_ASSIGN_OR_RETURN(SortedInteractions sorted,
                         SortedInteractions::Sort(
                             files, from, all, user_row,
                             {.runs_path = options.runs_path, .buffer_rows = options.buffer_rows}));
  OneUser user(options.keep);
  const VisitUser visit = [&](std::span<Interaction> rows) -> absl::Status {
    TORII_ASSIGN_OR_RETURN(const std::span<const Interaction> stay, user.Stay(rows));
    return to->Append(stay);
  };
  TORII_RETURN_IF_ERROR(sorted.ForEachUser(visit));
  TORII_RETURN_IF_ERROR(to->Finish());
  return before - to->rows();
}

}  // namespace torii::data
