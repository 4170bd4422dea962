#include "trainer/checkpoint/shallow_json.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/status_macros.h"

namespace torii::trainer {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMostLevels = 16;

// Levels of brackets outside of texts. What is not JSON may give any number.
int Levels(const std::string& text) {
  int level = 0, most = 0;
  bool in_text = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_text) {
      if (c == '\\') ++i;
      if (c == '"') in_text = false;
    } else if (c == '"') {
      in_text = true;
    } else if (c == '[' || c == '{') {
      most = std::max(most, ++level);
    } else if (c == ']' || c == '}') {
      --level;
    }
  }
  return most;
}

absl::StatusOr<int64_t> Integer(const Json& value, const std::string& where) {
  constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (!value.is_number_unsigned() || value.get<uint64_t>() > kMost) {
    return DataError(absl::StrCat(where, " is not a whole number of at least 0"));
  }
  return static_cast<int64_t>(value.get<uint64_t>());
}

absl::StatusOr<const Json*> Member(const Json& object, const std::string& name,
                                   const std::string& where) {
  if (!object.is_object()) return DataError(absl::StrCat(where, ": not an object"));
  const auto found = object.find(name);
  if (found == object.end()) return DataError(absl::StrCat(where, ": '", name, "' is missing"));
  return &*found;
}

}  // namespace

absl::StatusOr<Json> ParseShallowJson(const std::string& text, const std::string& where) {
  if (Levels(text) > kMostLevels) {
    return DataError(absl::StrCat(where, ": nested more than ", kMostLevels, " levels deep"));
  }
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return DataError(absl::StrCat(where, ": not JSON"));
  return json;
}

absl::StatusOr<int64_t> IntegerMember(const Json& object, const std::string& name,
                                      const std::string& where) {
  TORII_ASSIGN_OR_RETURN(const Json* member, Member(object, name, where));
  return Integer(*member, absl::StrCat(where, ": '", name, "'"));
}

absl::StatusOr<std::string> TextMember(const Json& object, const std::string& name,
                                       const std::string& where) {
  TORII_ASSIGN_OR_RETURN(const Json* member, Member(object, name, where));
  if (!member->is_string()) return DataError(absl::StrCat(where, ": '", name, "' is not a text"));
  return member->get<std::string>();
}

absl::StatusOr<std::vector<int64_t>> IntegersMember(const Json& object, const std::string& name,
                                                    const std::string& where) {
  TORII_ASSIGN_OR_RETURN(const Json* member, ArrayMember(object, name, where));
  std::vector<int64_t> values;
  for (const Json& element : *member) {
    TORII_ASSIGN_OR_RETURN(values.emplace_back(),
                           Integer(element, absl::StrCat(where, ": an element of '", name, "'")));
  }
  return values;
}

absl::StatusOr<const Json*> ObjectMember(const Json& object, const std::string& name,
                                         const std::string& where) {
  TORII_ASSIGN_OR_RETURN(const Json* member, Member(object, name, where));
  if (!member->is_object()) {
    return DataError(absl::StrCat(where, ": '", name, "' is not an object"));
  }
  return member;
}

absl::StatusOr<const Json*> ArrayMember(const Json& object, const std::string& name,
                                        const std::string& where) {
  TORII_ASSIGN_OR_RETURN(const Json* member, Member(object, name, where));
  if (!member->is_array()) return DataError(absl::StrCat(where, ": '", name, "' is not an array"));
  return member;
}

}  // namespace torii::trainer
