#include "trainer/checkpoint/message_state.h"

#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/exit_code.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"

namespace torii::trainer {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::TextFormat;

// Writes the default into a field that is not set.
void Fill(const FieldDescriptor* field, Message* message) {
  const Reflection* reflection = message->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->SetInt64(message, field, field->default_value_int64());
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->SetDouble(message, field, field->default_value_double());
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->SetString(message, field, field->default_value_string());
    default:
      TORII_CHECK(false, field->full_name(), " is of a type that states do not have");
  }
}

std::string TextOf(const Message& message) {
  const std::unique_ptr<Message> whole(message.New());
  whole->CopyFrom(message);
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (!message.GetReflection()->HasField(message, field)) Fill(field, whole.get());
  }
  TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  printer.PrintToString(*whole, &text);
  absl::StripTrailingAsciiWhitespace(&text);
  return text;
}

}  // namespace

absl::Status ParseMessageState(const std::string& name, const std::string& text, Message* message) {
  TextFormat::Parser parser;
  class Quiet final : public google::protobuf::io::ErrorCollector {
    void AddError(int, google::protobuf::io::ColumnNumber, const std::string&) final {}
  } quiet;
  parser.RecordErrorsTo(&quiet);
  if (!parser.ParseFromString(text, message)) {
    return DataError(absl::StrCat("state '", name, "' cannot be read: '", text, "'"));
  }
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->field(i);
    if (!message->GetReflection()->HasField(*message, field)) {
      return DataError(absl::StrCat("state '", name, "' has no ", field->name()));
    }
  }
  return absl::OkStatus();
}

StateMessage MessageState(std::string name, Message* message) {
  return {.name = name,
          .save = [message] { return TextOf(*message); },
          .load = [name, message](
                      const std::string& text) { return ParseMessageState(name, text, message); }};
}

}  // namespace torii::trainer
