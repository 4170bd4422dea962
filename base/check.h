// TORII_CHECK(condition, message pieces...): ends the program when something that cannot happen
// did. The pieces say what was expected and what was found. For what can happen to a correct
// program (files, peers, configuration) return an absl::Status instead.
#pragma once

#include <string>

#include "absl/strings/str_cat.h"

namespace torii {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              const std::string& message);
}  // namespace torii

#define TORII_CHECK(condition, ...)                                        \
  do {                                                                     \
    if (!(condition)) [[unlikely]] {                                       \
      ::torii::CheckFailed(__FILE__, __LINE__, #condition,                 \
                           ::absl::StrCat("" __VA_OPT__(, ) __VA_ARGS__)); \
    }                                                                      \
  } while (false)
