// JSON as text for people and other programs.
#pragma once

#include <string>

#include "nlohmann/json_fwd.hpp"

namespace torii::exports {

// Indented, with a final newline. Valid UTF-8 whatever the strings hold: bytes that are not become
// the replacement character.
std::string IndentedJson(const nlohmann::ordered_json& json);

}  // namespace torii::exports
