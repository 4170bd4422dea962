// Whether the ids of a column are integers or text, decided over all files before they are read.
#pragma once

#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "data/data.pb.h"
#include "data/read/column_values.h"

namespace torii::data {

// How ids are read.
struct IdReading {
  IdType type = INTEGER;  // INTEGER or TEXT
  // The files decided, not the configuration: 007 is then an error and not 7.
  bool detected = false;
  std::string field;  // for messages: "data.interactions.user_type"
  std::string why;    // for the log
};

// What the first rows of one file say about its ids.
struct IdsSeen {
  enum class Verdict { kNothing, kIntegers, kText };
  Verdict verdict = Verdict::kNothing;
  bool typed = true;  // the file has types; else its values were looked at
  std::string file;
  std::string why;  // "row 3 has "007", which has a leading zero"
};

// Parquet goes by the type of the column. In files without types ids are integers if all that are
// there are integers without leading zeros and plus signs. A few values that are no integers among
// many that are, and words such as NULL among integers, are errors: one bad value does not change
// the type of a column. `field`: of the configuration, which sets the type.
absl::StatusOr<IdsSeen> LookAtIds(const Column& column, const std::string& field);

// The type for all files. kData if one file has integers and another one text by their types.
absl::StatusOr<IdReading> DecideIdType(std::span<const IdsSeen> files, IdType configured,
                                       const std::string& field);

}  // namespace torii::data
