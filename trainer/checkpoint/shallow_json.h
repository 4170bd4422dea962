// Reads JSON from files that are not trusted: text of a few levels, without exceptions and without
// recursion.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace torii::trainer {

// kData if `text` is not JSON, or is nested more than 16 levels deep. `where` begins the message.
absl::StatusOr<nlohmann::ordered_json> ParseShallowJson(const std::string& text,
                                                        const std::string& where);

// The member `name` of an object; kData with its name if it is missing or of another type. Integers
// are in [0, 2^63).
absl::StatusOr<int64_t> IntegerMember(const nlohmann::ordered_json& object, const std::string& name,
                                      const std::string& where);
absl::StatusOr<std::string> TextMember(const nlohmann::ordered_json& object,
                                       const std::string& name, const std::string& where);
absl::StatusOr<std::vector<int64_t>> IntegersMember(const nlohmann::ordered_json& object,
                                                    const std::string& name,
                                                    const std::string& where);
// A member that is an object or an array itself; valid as long as `object`.
absl::StatusOr<const nlohmann::ordered_json*> ObjectMember(const nlohmann::ordered_json& object,
                                                           const std::string& name,
                                                           const std::string& where);
absl::StatusOr<const nlohmann::ordered_json*> ArrayMember(const nlohmann::ordered_json& object,
                                                          const std::string& name,
                                                          const std::string& where);

}  // namespace torii::trainer
