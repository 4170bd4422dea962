// --set a.b.c=value: one assignment to a field of the configuration.
//
//   train.epochs=3                 data.interactions.path=logs/a.parquet     (strings need no
//   quotes) model.user.hidden=[128,64]     data.users.feature[0].name=city          (whole lists,
//   one element) data.split={last_k: 1}         data.users.feature[1]={column: "age" numeric {}}
//   (whole messages) data.split=                    (nothing: back to the default)
#pragma once

#include <string>

#include "absl/status/status.h"
#include "google/protobuf/message.h"

namespace torii::launch {

// kConfig, beginning with "--set <assignment>: ", when the path or the value does not fit. An index
// equal to the length of a list appends to it.
absl::Status ApplyOverride(const std::string& assignment, google::protobuf::Message* message);

}  // namespace torii::launch
