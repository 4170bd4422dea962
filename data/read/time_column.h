// Times as sortable 64-bit keys: microseconds since 1970, whatever each file writes; or, where times
// are no dates but only an order, the numbers themselves.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/data.pb.h"
#include "data/read/column_values.h"

namespace torii::data {

using TimeUnit = InteractionFiles::TimeUnit;

// What the first rows of a file say about its times.
struct TimesSeen {
  enum class Kind { kNothing, kDates, kNumbers };
  Kind kind = Kind::kNothing;
  // Of kNumbers, never AUTO. ORDINAL as found by AUTO: `why` names the number that is no date.
  TimeUnit unit = InteractionFiles::ORDINAL;
  bool fractions = false;  // of kNumbers
  std::string why;         // for the log: "numbers from 1704067200, read as SECONDS"
};

// Looks at the first rows of a file. `unit` as configured. A value that is neither a time nor a
// number, and numbers of two units, are errors.
absl::StatusOr<TimesSeen> LookAtTimes(const Column& column, TimeUnit unit);

// How the times of all files become keys. Immutable.
class TimeReader {
 public:
  TimeReader() = default;
  // kData if some files have dates and others have numbers that are none.
  static absl::StatusOr<TimeReader> Make(const std::map<std::string, TimesSeen>& of_file,
                                         TimeUnit configured);

  // A missing time is an error; so is a number that AUTO would not have taken for a date.
  absl::StatusOr<std::vector<int64_t>> Read(const Column& column) const;

  // Times have an order and are no dates.
  bool ordinal() const { return ordinal_; }
  // The time that is stored for a key (an ordinal with a fraction is rounded down), and its text.
  int64_t TimeOfKey(int64_t key) const;
  std::string TextOfKey(int64_t key) const;
  // The key of a date, or of a number in the unit of the first file. kConfig, naming `field`.
  absl::StatusOr<int64_t> KeyOfText(const std::string& text, const std::string& field) const;

 private:
  // False: not a time that `unit` can mean here.
  template <typename Number>
  bool KeyOf(Number time, TimeUnit unit, int64_t* key) const;
  template <typename Number>
  absl::Status NoKey(const Column& column, size_t i, Number time, TimeUnit unit) const;
  absl::StatusOr<std::vector<int64_t>> ReadNumbersOfTexts(const Column& column,
                                                          TimeUnit unit) const;
  absl::StatusOr<std::vector<int64_t>> ReadNumbersOf(const Column& column, TimeUnit unit) const;
  absl::StatusOr<std::vector<int64_t>> ReadOrdinals(const Column& column) const;

  std::map<std::string, TimesSeen> of_file_;
  bool automatic_ = false;
  bool ordinal_ = false;
  bool fractions_ = false;  // ordinal keys keep the order of doubles
  TimeUnit first_unit_ = InteractionFiles::MICROSECONDS;
};

}  // namespace torii::data
