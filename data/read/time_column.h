// Times as sortable 64-bit keys.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "data/read/column_values.h"

namespace torii::data {

// How the times of a dataset are written. The first chunk decides.
enum class TimeKind {
  kUnknown,
  kInteger,  // integers and Parquet timestamps, in their own unit
  kFloat,    // floating point; the key keeps their order exactly
  kIsoText,  // "2024-01-31", "2024-01-31 12:34:56.5": microseconds since 1970, UTC
};

// The keys of a time column. Sets `kind` at the first call; a later chunk must be of the same kind.
// A missing time is an error.
absl::StatusOr<std::vector<int64_t>> ReadTimes(const Column& column, TimeKind* kind);

// The key of an integer time, and the time that is stored for a key (floats are rounded down).
int64_t KeyOfTime(int64_t time, TimeKind kind);
int64_t TimeOfKey(int64_t key, TimeKind kind);

}  // namespace torii::data
