// A protobuf message as named state.
#pragma once

#include <string>

#include "base/named_state.h"
#include "google/protobuf/message.h"

namespace torii::trainer {

// `message` is borrowed: saved as one line of protobuf text with every field (its
// default where it is not set), loaded only if every field is there. Fields are scalars
// that are not repeated.
StateMessage MessageState(std::string name, google::protobuf::Message* message);

// Parses what MessageState saved; kData names the state otherwise.
absl::Status ParseMessageState(const std::string& name, const std::string& text,
                               google::protobuf::Message* message);

}  // namespace torii::trainer
