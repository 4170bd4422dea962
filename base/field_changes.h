// Which fields of two messages of one type differ: how a run tells what another configuration means
// for it (base/field_options.proto).
#pragma once

#include <string>
#include <vector>

#include "base/field_options.pb.h"
#include "google/protobuf/message.h"

namespace torii {

struct FieldChange {
  std::string field;   // "tables.learning_rate", "data.items.feature[1].name"
  std::string before;  // as protobuf text; "(none)" for what is not there
  std::string after;
  Effect effect = MEANING;  // as marked; of a whole message, the strongest of its leaves

  friend bool operator==(const FieldChange&, const FieldChange&) = default;
};

// In the order of the fields. A field with a default that is left out has its default; a list of
// another length, and a message that only one side has, differ as a whole.
std::vector<FieldChange> CompareFields(const google::protobuf::Message& before,
                                       const google::protobuf::Message& after);

// "tables.learning_rate 0.05 -> 0.5".
std::string ToText(const FieldChange& change);

}  // namespace torii
