// --set a.b.c=value: one assignment to a field of the configuration.
//
//   train.epochs=3                          a number
//   data.interactions.path=logs/a.parquet   a string needs no quotes
//   eval.k=[10,100]                         a whole list
//   data.users.feature[0].name=city         in one element of a list
//   data.split={last_k: 1}                  a whole message
//   data.split=                             nothing: back to the default
#pragma once

#include <string>

#include "absl/status/status.h"
#include "google/protobuf/message.h"

namespace torii::launch {

// kConfig, beginning with "--set <assignment>: ", when the path or the value does not fit. An index
// equal to the length of a list appends to it.
absl::Status ApplyOverride(const std::string& assignment, google::protobuf::Message* message);

// The path that an assignment names: "train.epochs" of "train.epochs=3".
std::string PathOfOverride(const std::string& assignment);

}  // namespace torii::launch
