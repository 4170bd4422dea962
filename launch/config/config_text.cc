#include "launch/config/config_text.h"

#include <memory>
#include <optional>
#include <set>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/closest_name.h"
#include "google/protobuf/io/tokenizer.h"
#include "launch/config/moved_fields.h"

namespace torii::launch {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;

// The words between quotes in a message of the parser.
std::vector<std::string> Quoted(const std::string& message) {
  std::vector<std::string> out;
  size_t at = 0;
  while ((at = message.find('"', at)) != std::string::npos) {
    const size_t end = message.find('"', at + 1);
    if (end == std::string::npos) break;
    out.push_back(message.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return out;
}

// The type called `full_name` among those that `root` contains.
const Descriptor* FindType(const Descriptor& root, const std::string& full_name) {
  return root.file()->pool()->FindMessageTypeByName(full_name);
}

// The enumeration of a field called `name` somewhere below `type`.
const EnumDescriptor* FindEnumOfField(const Descriptor& type, const std::string& name,
                                      std::set<const Descriptor*>* visited) {
  if (!visited->insert(&type).second) return nullptr;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    if (field->name() == name && field->enum_type() != nullptr) return field->enum_type();
    if (field->message_type() == nullptr) continue;
    const EnumDescriptor* found = FindEnumOfField(*field->message_type(), name, visited);
    if (found != nullptr) return found;
  }
  return nullptr;
}

std::vector<std::string> ValueNames(const EnumDescriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) names.push_back(type.value(i)->name());
  return names;
}

std::string Upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

// The parser's message in our words, where we know better.
std::string Explain(const Descriptor& root, const std::string& message) {
  const std::vector<std::string> words = Quoted(message);
  if (words.size() == 2 && message.find("has no field named") != std::string::npos) {
    const Descriptor* type = FindType(root, words[0]);
    if (type != nullptr) return NoSuchField(*type, words[1]);
  }
  if (words.size() == 2 && message.starts_with("Unknown enumeration value")) {
    std::set<const Descriptor*> visited;
    const EnumDescriptor* type = FindEnumOfField(root, words[1], &visited);
    if (type != nullptr) {
      const std::vector<std::string> names = ValueNames(*type);
      return absl::StrCat("'", words[0], "' is not a value of ", words[1],
                          DidYouMean(Upper(words[0]), names), "; its values are ",
                          absl::StrJoin(names, ", "));
    }
  }
  return message;
}

class ErrorList : public google::protobuf::io::ErrorCollector {
 public:
  ErrorList(const Descriptor& root, std::vector<TextError>* errors)
      : root_(root), errors_(errors) {}
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    errors_->push_back({line + 1, column + 1, Explain(root_, message)});
  }
  void AddWarning(int, google::protobuf::io::ColumnNumber, const std::string&) override {}

 private:
  const Descriptor& root_;
  std::vector<TextError>* errors_;
};

// Where the parser found a number instead of text, and the number.
struct BareNumber {
  size_t at = 0;
  std::string number;
};
std::optional<BareNumber> FindBareNumber(const std::string& text,
                                         const std::vector<TextError>& errors) {
  constexpr std::string_view kWhat = "Expected string, got: ";
  if (errors.empty() || !errors.front().message.starts_with(kWhat)) return std::nullopt;
  BareNumber bare{.number = errors.front().message.substr(kWhat.size())};
  double ignored = 0;
  if (!absl::SimpleAtod(bare.number, &ignored)) return std::nullopt;
  for (int line = 1; line < errors.front().line; ++line) {
    bare.at = text.find('\n', bare.at) + 1;
  }
  bare.at = text.find(bare.number, bare.at + static_cast<size_t>(errors.front().column) - 1);
  return bare.at == std::string::npos ? std::nullopt : std::optional(bare);
}

std::vector<TextError> ParseOnce(const std::string& text, google::protobuf::Message* message,
                                 google::protobuf::TextFormat::ParseInfoTree* places) {
  std::vector<TextError> errors;
  ErrorList list(*message->GetDescriptor(), &errors);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&list);
  if (places != nullptr) parser.WriteLocationsTo(places);
  if (!parser.ParseFromString(text, message) && errors.empty()) {
    errors.push_back({1, 1, "is not protobuf text"});
  }
  return errors;
}

}  // namespace

std::vector<TextError> ParseText(const std::string& text, google::protobuf::Message* message,
                                 google::protobuf::TextFormat::ParseInfoTree* places) {
  // A number where text is wanted (time_from: 1700000000) is its text.
  std::string quoted = text;
  std::unique_ptr<google::protobuf::Message> scratch(message->New());
  std::vector<TextError> errors = ParseOnce(quoted, scratch.get(), nullptr);
  for (auto bare = FindBareNumber(quoted, errors); bare; bare = FindBareNumber(quoted, errors)) {
    quoted.replace(bare->at, bare->number.size(), absl::StrCat("\"", bare->number, "\""));
    errors = ParseOnce(quoted, scratch.get(), nullptr);
  }
  return ParseOnce(quoted, message, places);
}

std::vector<std::string> FieldNames(const Descriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->name());
  return names;
}

std::string NoSuchField(const Descriptor& type, const std::string& name) {
  const absl::string_view instead = WhatToWriteInstead(type, name);
  if (!instead.empty()) {
    return absl::StrCat("the field '", name, "' of ", type.name(), " has moved: ", instead);
  }
  const std::vector<std::string> names = FieldNames(type);
  return absl::StrCat("there is no field '", name, "' in ", type.name(), DidYouMean(name, names),
                      "; its fields are ", absl::StrJoin(names, ", "));
}

}  // namespace torii::launch
