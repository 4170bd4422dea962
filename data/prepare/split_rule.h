// Which of a user's interactions are held out.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "data/data.pb.h"
#include "data/prepare/core_filter.h"
#include "data/prepare/interaction_spill.h"
#include "data/read/time_column.h"

namespace torii::data {

struct PartSizes {
  int64_t of_part[kNumParts] = {0, 0, 0};
};

// The rule of `config`, with the moments of a global time split resolved. Immutable.
class SplitRule {
 public:
  static absl::StatusOr<SplitRule> Make(const DataConfig& config, const InteractionSpill& spill,
                                        const Kept& kept, const TimeReader& times);

  // Whether a row's part follows from the row alone (splits by time, files of their own) and not
  // from its place among the rows of its user.
  bool by_row() const { return kind_ == Kind::kFiles || kind_ == Kind::kTime; }
  // The part of a row. Only if by_row().
  Part PartOf(const Interaction& row) const {
    if (kind_ == Kind::kFiles || row.part != Part::kTrain) {
      return row.part;
    }
    return row.time < valid_from_ ? Part::kTrain
                                  : (row.time < test_from_ ? Part::kValid : Part::kTest);
  }
  // How many of `n` rows of one user go to each part. Only if not by_row().
  PartSizes SizesFor(int64_t n) const;
  // Sets the parts of one user's rows, which are sorted by time. Rows of test and valid files keep
  // their part.
  void Assign(std::span<Interaction> rows) const;
  // Whether the rule is meant to hold out rows for a part.
  bool Cuts(Part part) const {
    return kind_ != Kind::kFiles && (part == Part::kTest ? cuts_test_ : cuts_valid_);
  }

 private:
  enum class Kind { kFiles, kTime, kLastK, kLastFraction, kRandom };
  int64_t HeldOut(int64_t n) const;
  absl::Status FindMoments(const Split& split, const InteractionSpill& spill, const Kept& kept,
                           const TimeReader& times);
  absl::Status FindFractionMoments(const InteractionSpill& spill, const Kept& kept);
  void AssignAtRandom(std::span<Interaction> rows) const;

  Kind kind_ = Kind::kFiles;
  int64_t last_k_ = 0;
  double fraction_ = 0;
  bool cuts_test_ = true;  // not if the test part has files of its own
  bool cuts_valid_ = false;
  uint64_t seed_ = 0;
  int64_t valid_from_ = std::numeric_limits<int64_t>::max();
  int64_t test_from_ = std::numeric_limits<int64_t>::max();
};

// What the rows of a dataset are like where they decide what a rule holds out.
struct SplitFacts {
  int64_t users = 0;      // with rows
  int64_t most_rows = 0;  // of one user
  std::string last_time;  // empty without times
};
// Why the rule of `split` holds out nothing: "data.split.last_k: 1 holds out nothing for the test
// part: all 50 users have 1 interaction or fewer".
std::string WhyNothingIsHeldOut(const Split& split, Part part, const SplitFacts& facts);

// floor(fraction * n), computed in decimal, so that 0.29 of 100 is 29 and not 28.
int64_t FractionOf(double fraction, int64_t n);

// The time at place `index` (from 0) among the sorted times of the kept training rows that are
// below `limit`. Four passes, 64 Ki counters.
absl::StatusOr<int64_t> TimeAt(const InteractionSpill& spill, const Kept& kept, int64_t limit,
                               int64_t index);

}  // namespace torii::data
