// Texts that show when they were changed: the last line is a digest of all others.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace torii::data {

// `text`, which ends with a newline or is empty, with "# digest 0123456789abcdef" behind it: a
// comment in protobuf's text format.
std::string SealText(const std::string& text);
// kData if the seal is missing or is of another text.
absl::Status CheckSeal(const std::string& sealed);

}  // namespace torii::data
