#include "base/secrets.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace torii {
namespace {

constexpr std::string_view kRedacted = "(redacted)";

// Where a URI ends in free text.
constexpr std::string_view kEnd = " \t\r\n\"'<>,;)]}";

bool HoldsAny(const std::string& text, std::initializer_list<const char*> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](const char* word) { return text.find(word) != std::string::npos; });
}

bool IsSecretOption(std::string_view name) {
  return HoldsAny(absl::AsciiStrToLower(std::string(name)),
                  {"key", "secret", "token", "pass", "sig", "credential", "auth"});
}

// What follows "scheme://", with its secrets replaced.
std::string RedactRest(std::string_view uri) {
  std::string out;
  // The user part ends at the last @ before the path.
  const std::string_view authority = uri.substr(0, uri.find_first_of("/?"));
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    absl::StrAppend(&out, std::string(kRedacted),
                    std::string(uri.substr(at, authority.size() - at)));
  } else {
    out = std::string(authority);
  }
  uri.remove_prefix(authority.size());
  const size_t question = uri.find('?');
  out += uri.substr(0, question);
  if (question == std::string_view::npos) return out;
  uri.remove_prefix(question);
  while (!uri.empty()) {  // "?name=value" or "&name=value"
    const size_t next = std::min(uri.find('&', 1), uri.size());
    const std::string_view option = uri.substr(0, next);
    const size_t equals = option.find('=');
    const bool secret =
        equals != std::string_view::npos && IsSecretOption(option.substr(0, equals));
    out += secret ? option.substr(0, equals + 1) : option;
    if (secret) out += kRedacted;
    uri.remove_prefix(next);
  }
  return out;
}

}  // namespace

std::string RedactUris(std::string_view text) {
  constexpr std::string_view kScheme = "://";
  std::string out;
  for (size_t at = text.find(kScheme); at != std::string_view::npos; at = text.find(kScheme)) {
    const size_t rest = at + kScheme.size();
    const size_t end = std::min(text.find_first_of(kEnd, rest), text.size());
    out += text.substr(0, rest);
    out += RedactRest(text.substr(rest, end - rest));
    text.remove_prefix(end);
  }
  return out.append(text);
}

bool IsSecretVariable(std::string_view name) {
  return HoldsAny(absl::AsciiStrToUpper(std::string(name)),
                  {"KEY", "TOKEN", "SECRET", "PASS", "JWT", "CREDENTIAL", "AUTH"});
}

}  // namespace torii
