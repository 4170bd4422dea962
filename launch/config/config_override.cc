#include "launch/config/config_override.h"

#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "launch/config/config_text.h"

namespace torii::launch {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// One step of a path: "feature[2]".
struct PathStep {
  const FieldDescriptor* field = nullptr;
  std::optional<int> index;
};

absl::StatusOr<PathStep> ParseStep(const std::string& text, const Message& message) {
  PathStep step;
  std::string name = text;
  const size_t bracket = text.find('[');
  if (bracket != std::string::npos) {
    int index = 0;
    if (text.back() != ']' ||
        !absl::SimpleAtoi(text.substr(bracket + 1, text.size() - bracket - 2), &index) ||
        index < 0) {
      return ConfigError(absl::StrCat("'", text, "' is not a field with an index such as [0]"));
    }
    step.index = index;
    name = text.substr(0, bracket);
  }
  step.field = message.GetDescriptor()->FindFieldByName(name);
  if (step.field == nullptr) return ConfigError(NoSuchField(*message.GetDescriptor(), name));
  if (!step.index.has_value()) return step;
  if (!step.field->is_repeated()) {
    return ConfigError(absl::StrCat("'", name, "' is not a list"));
  }
  const int size = message.GetReflection()->FieldSize(message, step.field);
  if (*step.index > size) {
    return ConfigError(absl::StrCat("'", text, "': the list has ", size, " elements"));
  }
  return step;
}

// The message that an inner step of a path leads to, made if absent.
absl::StatusOr<Message*> Descend(const PathStep& step, const std::string& text, Message* message) {
  const Reflection* reflection = message->GetReflection();
  if (step.field->message_type() == nullptr) {
    return ConfigError(absl::StrCat("'", text, "' has no fields"));
  }
  if (!step.field->is_repeated()) return reflection->MutableMessage(message, step.field);
  if (!step.index.has_value()) {
    return ConfigError(absl::StrCat("'", text, "' is a list: say which element, ", text, "[0]"));
  }
  if (*step.index == reflection->FieldSize(*message, step.field)) {
    return reflection->AddMessage(message, step.field);
  }
  return reflection->MutableRepeatedMessage(message, step.field, *step.index);
}

std::string Quote(const std::string& text) {
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') &&
      text.back() == text.front()) {
    return text;
  }
  return absl::StrCat("\"", absl::CHexEscape(text), "\"");
}

// [a, "b"] -> ["a", "b"].
std::string QuoteElements(const std::string& list) {
  std::vector<std::string> elements;
  const std::string inside = list.substr(1, list.size() - 2);
  for (const absl::string_view part : absl::StrSplit(inside, ',', absl::SkipWhitespace())) {
    elements.push_back(Quote(std::string(absl::StripAsciiWhitespace(part))));
  }
  return absl::StrCat("[", absl::StrJoin(elements, ", "), "]");
}

// The value as protobuf text for `field`.
std::string ValueText(const FieldDescriptor* field, const std::string& value, bool element) {
  const bool list = field->is_repeated() && !element && value.size() >= 2 && value.front() == '[' &&
                    value.back() == ']';
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    return list ? QuoteElements(value) : Quote(value);
  }
  if (field->message_type() != nullptr && !list && value.front() != '{') {
    return absl::StrCat("{", value, "}");
  }
  return value;
}

// Replaces element `index` of a list by the only element of the same list in `parsed`.
void ReplaceElement(const FieldDescriptor* field, int index, const Message& parsed,
                    Message* message) {
  const Reflection* reflection = message->GetReflection();
  const int size = reflection->FieldSize(*message, field);
  std::unique_ptr<Message> with_new(message->New());
  with_new->CopyFrom(parsed);  // the new element comes last ...
  message->MergeFrom(*with_new);
  if (index < size) {  // ... takes the old one's place ...
    reflection->SwapElements(message, field, index, size);
    reflection->RemoveLast(message, field);  // ... and the old one goes.
  }
}

absl::Status Assign(const PathStep& step, const std::string& value, Message* message) {
  const Reflection* reflection = message->GetReflection();
  const FieldDescriptor* field = step.field;
  const bool text = field->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
  if (value.empty() && !step.index.has_value() && (!text || field->is_repeated())) {
    reflection->ClearField(message, field);
    return absl::OkStatus();
  }
  if (value.empty() && !text) return ConfigError("the value is empty");
  std::unique_ptr<Message> parsed(message->New());
  const auto errors =
      ParseText(absl::StrCat(field->name(), ": ", ValueText(field, value, step.index.has_value())),
                parsed.get());
  if (!errors.empty()) return ConfigError(errors.front().message);
  if (step.index.has_value()) {
    if (reflection->FieldSize(*parsed, field) != 1) return ConfigError("one element is expected");
    ReplaceElement(field, *step.index, *parsed, message);
    return absl::OkStatus();
  }
  reflection->ClearField(message, field);
  message->MergeFrom(*parsed);
  return absl::OkStatus();
}

absl::Status Apply(const std::string& path, const std::string& value, Message* message) {
  const std::vector<std::string> steps = absl::StrSplit(path, '.');
  for (size_t i = 0; i < steps.size(); ++i) {
    TORII_ASSIGN_OR_RETURN(const PathStep step, ParseStep(steps[i], *message));
    if (i + 1 == steps.size()) return Assign(step, value, message);
    TORII_ASSIGN_OR_RETURN(message, Descend(step, steps[i], message));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyOverride(const std::string& assignment, Message* message) {
  const size_t equals = assignment.find('=');
  const std::string context = absl::StrCat("--set ", assignment);
  if (equals == std::string::npos || equals == 0) {
    return ConfigError(absl::StrCat(context, ": is not of the form field.field=value"));
  }
  const std::string path = PathOfOverride(assignment);
  const std::string value(absl::StripAsciiWhitespace(assignment.substr(equals + 1)));
  // On a copy: a wrong value leaves no empty messages behind.
  std::unique_ptr<Message> changed(message->New());
  changed->CopyFrom(*message);
  TORII_RETURN_IF_ERROR(Annotate(Apply(path, value, changed.get()), context));
  message->CopyFrom(*changed);
  return absl::OkStatus();
}

std::string PathOfOverride(const std::string& assignment) {
  return std::string(absl::StripAsciiWhitespace(assignment.substr(0, assignment.find('='))));
}

}  // namespace torii::launch
