#include "data/prepare/split_rule.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/random.h"
#include "base/status_macros.h"

namespace torii::data {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();
// Undoes the rounding of products such as 0.29 * 100.
constexpr double kRounding = 1e-9;

// Order-preserving, from 0.
uint64_t Unsigned(int64_t time) { return static_cast<uint64_t>(time) ^ (uint64_t{1} << 63); }

absl::StatusOr<int64_t> CountBelow(const InteractionSpill& spill, const Kept& kept, int64_t limit) {
  int64_t rows = 0;
  TORII_RETURN_IF_ERROR(spill.ForEach([&](InteractionBlock block) {
    for (const Interaction& row : block) {
      rows += row.part == Part::kTrain && row.time < limit && kept.Keeps(row) ? 1 : 0;
    }
    return absl::OkStatus();
  }));
  return rows;
}

// The moment from which the last max(1, floor(fraction * n)) rows below `limit` are held out.
absl::StatusOr<int64_t> MomentOf(const InteractionSpill& spill, const Kept& kept, int64_t limit,
                                 double fraction, const char* part) {
  TORII_ASSIGN_OR_RETURN(const int64_t n, CountBelow(spill, kept, limit));
  const int64_t held_out = std::max<int64_t>(1, FractionOf(fraction, n));
  if (held_out >= n) {
    return DataError(absl::StrCat("data.split.time_fraction: ", fraction, " of ", n,
                                  " interactions for the ", part, " part leaves none to train"));
  }
  return TimeAt(spill, kept, limit, n - held_out);
}

}  // namespace

int64_t FractionOf(double fraction, int64_t n) {
  return static_cast<int64_t>(std::floor(fraction * static_cast<double>(n) + kRounding));
}

absl::StatusOr<int64_t> TimeAt(const InteractionSpill& spill, const Kept& kept, int64_t limit,
                               int64_t index) {
  // Radix selection, 16 bits at a time from the top.
  constexpr int kDigitBits = 16;
  uint64_t prefix = 0;
  for (int shift = 64 - kDigitBits; shift >= 0; shift -= kDigitBits) {
    std::vector<int64_t> counts(size_t{1} << kDigitBits);
    const auto above = [shift](uint64_t key) {
      return shift + kDigitBits == 64 ? 0 : key >> (shift + kDigitBits);
    };
    TORII_RETURN_IF_ERROR(spill.ForEach([&](InteractionBlock block) {
      for (const Interaction& row : block) {
        const uint64_t key = Unsigned(row.time);
        if (row.part == Part::kTrain && row.time < limit && above(key) == above(prefix) &&
            kept.Keeps(row)) {
          ++counts[(key >> shift) & 0xffff];
        }
      }
      return absl::OkStatus();
    }));
    uint64_t digit = 0;
    while (digit + 1 < counts.size() && index >= counts[digit]) {
      index -= counts[digit];
      ++digit;
    }
    prefix |= digit << shift;
  }
  return static_cast<int64_t>(prefix ^ (uint64_t{1} << 63));
}

absl::Status SplitRule::FindFractionMoments(const InteractionSpill& spill, const Kept& kept) {
  if (cuts_test_) {
    TORII_ASSIGN_OR_RETURN(test_from_, MomentOf(spill, kept, kNoLimit, fraction_, "test"));
  }
  valid_from_ = test_from_;
  if (cuts_valid_) {
    TORII_ASSIGN_OR_RETURN(valid_from_, MomentOf(spill, kept, test_from_, fraction_, "validation"));
  }
  TORII_ASSIGN_OR_RETURN(const int64_t train, CountBelow(spill, kept, valid_from_));
  if (train == 0) {
    return DataError(
        "data.split.time_fraction: so many interactions have the same time that none is left to "
        "train; use last_fraction or random_fraction");
  }
  return absl::OkStatus();
}

absl::Status SplitRule::FindMoments(const Split& split, const InteractionSpill& spill,
                                    const Kept& kept, const TimeReader& times) {
  if (!split.has_time_from()) {
    return FindFractionMoments(spill, kept);
  }
  TORII_ASSIGN_OR_RETURN(valid_from_, times.KeyOfText(split.time_from(), "data.split.time_from"));
  test_from_ = cuts_test_ ? valid_from_ : kNoLimit;
  TORII_ASSIGN_OR_RETURN(const int64_t before, CountBelow(spill, kept, valid_from_));
  if (before == 0) {
    return DataError(absl::StrCat("data.split.time_from: ", times.TextOfKey(valid_from_),
                                  ": no interaction is before it, none is left to train"));
  }
  return absl::OkStatus();
}

absl::StatusOr<SplitRule> SplitRule::Make(const DataConfig& config, const InteractionSpill& spill,
                                          const Kept& kept, const TimeReader& times) {
  SplitRule rule;
  const Split& split = config.split();
  rule.cuts_test_ = config.test_path_size() == 0;
  rule.cuts_valid_ = split.valid();
  rule.seed_ = config.seed();
  switch (split.rule_case()) {
    case Split::kLastK:
      rule.kind_ = Kind::kLastK;
      rule.last_k_ = split.last_k();
      break;
    case Split::kLastFraction:
      rule.kind_ = Kind::kLastFraction;
      rule.fraction_ = split.last_fraction();
      break;
    case Split::kRandomFraction:
      rule.kind_ = Kind::kRandom;
      rule.fraction_ = split.random_fraction();
      break;
    case Split::kTimeFraction:
    case Split::kTimeFrom:
      rule.kind_ = Kind::kTime;
      rule.fraction_ = split.time_fraction();
      TORII_RETURN_IF_ERROR(rule.FindMoments(split, spill, kept, times));
      break;
    case Split::RULE_NOT_SET:
      break;
  }
  return rule;
}

std::string WhyNothingIsHeldOut(const Split& split, Part part, const SplitFacts& facts) {
  const std::string name = part == Part::kTest ? "test" : "validation";
  const auto why = [&](const std::string& field, const std::string& value,
                       const std::string& reason) {
    return absl::StrCat("data.split.", field, ": ", value, " holds out nothing for the ", name,
                        " part: ", reason);
  };
  const std::string most =
      absl::StrCat("all ", facts.users, " users have ", facts.most_rows,
                   facts.most_rows == 1 ? " interaction or fewer" : " interactions or fewer");
  switch (split.rule_case()) {
    case Split::kLastK:
      return why("last_k", absl::StrCat(split.last_k()), most);
    case Split::kLastFraction:
      return why("last_fraction", absl::StrCat(split.last_fraction()), most);
    case Split::kRandomFraction:
      return why("random_fraction", absl::StrCat(split.random_fraction()), most);
    case Split::kTimeFrom:
      return why("time_from", split.time_from(),
                 absl::StrCat("the last interaction is at ", facts.last_time));
    default:
      return why("time_fraction", absl::StrCat(split.time_fraction()), most);
  }
}

int64_t SplitRule::HeldOut(int64_t n) const {
  switch (kind_) {
    case Kind::kLastK:
      return n > last_k_ ? last_k_ : 0;
    case Kind::kLastFraction:
      return n < 2 ? 0 : std::clamp<int64_t>(FractionOf(fraction_, n), 1, n - 1);
    case Kind::kRandom:
      return FractionOf(fraction_, n);
    default:
      return 0;
  }
}

PartSizes SplitRule::SizesFor(int64_t n) const {
  const int64_t test = cuts_test_ ? HeldOut(n) : 0;
  const int64_t valid = cuts_valid_ ? HeldOut(n - test) : 0;
  return {{n - test - valid, valid, test}};
}

void SplitRule::AssignAtRandom(std::span<Interaction> rows) const {
  const RandomStream random(seed_, "split");
  std::vector<std::pair<uint64_t, Interaction*>> draws;
  for (Interaction& row : rows) {
    if (row.part == Part::kTrain) {
      draws.emplace_back(random.Bits(static_cast<uint64_t>(row.order)), &row);
    }
  }
  // The rows with the smallest numbers are test, the next valid; the number belongs to the row of
  // the file.
  std::sort(draws.begin(), draws.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first, a.second->order) < std::pair(b.first, b.second->order);
  });
  const PartSizes sizes = SizesFor(static_cast<int64_t>(draws.size()));
  const int64_t test = sizes.of_part[static_cast<int>(Part::kTest)];
  const int64_t valid = sizes.of_part[static_cast<int>(Part::kValid)];
  for (int64_t i = 0; i < test + valid; ++i) {
    draws[static_cast<size_t>(i)].second->part = i < test ? Part::kTest : Part::kValid;
  }
}

void SplitRule::Assign(std::span<Interaction> rows) const {
  if (kind_ == Kind::kRandom) {
    AssignAtRandom(rows);
    return;
  }
  if (by_row()) {
    for (Interaction& row : rows) {
      row.part = PartOf(row);
    }
    return;
  }
  const int64_t n = std::count_if(rows.begin(), rows.end(),
                                  [](const Interaction& row) { return row.part == Part::kTrain; });
  const PartSizes sizes = SizesFor(n);
  const int64_t train = sizes.of_part[static_cast<int>(Part::kTrain)];
  const int64_t valid = sizes.of_part[static_cast<int>(Part::kValid)];
  int64_t place = 0;
  for (Interaction& row : rows) {
    if (row.part == Part::kTrain) {
      row.part =
          place < train ? Part::kTrain : (place < train + valid ? Part::kValid : Part::kTest);
      ++place;
    }
  }
}

}  // namespace torii::data
