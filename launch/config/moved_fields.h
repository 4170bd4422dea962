// Fields of former versions of the configuration, and what to write instead.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"

namespace torii::launch {

// "write join { sum {} } instead of combine: SUM" for a field that `type` once had; empty: it never
// had one of that name.
absl::string_view WhatToWriteInstead(const google::protobuf::Descriptor& type,
                                     const std::string& name);

}  // namespace torii::launch
