#include "base/field_changes.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "google/protobuf/text_format.h"

namespace torii {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::TextFormat;

constexpr char kNone[] = "(none)";

Effect EffectOf(const FieldDescriptor& field) {
  const Effect marked = field.options().GetExtension(effect);
  return marked == UNMARKED ? MEANING : marked;
}

// From the weakest.
int Strength(Effect e) { return e == LOCAL ? 0 : e == FREE ? 1 : e == LENGTH ? 2 : 3; }

// The strongest effect of the leaves below `type`; a message without fields means something by
// being there.
Effect EffectOfMessage(const Descriptor& type, std::set<const Descriptor*>* visited) {
  if (type.field_count() == 0) return MEANING;
  Effect strongest = LOCAL;
  if (!visited->insert(&type).second) return strongest;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const Effect e = field.message_type() == nullptr
                         ? EffectOf(field)
                         : EffectOfMessage(*field.message_type(), visited);
    if (Strength(e) > Strength(strongest)) strongest = e;
  }
  return strongest;
}

// Whether reading the field gives something: it is there, or it has a default outside a oneof.
bool HasValue(const Message& message, const FieldDescriptor* field) {
  return message.GetReflection()->HasField(message, field) ||
         (field->has_default_value() && field->real_containing_oneof() == nullptr);
}

// The value of a leaf (element `index` of a list; -1 if it is none) as protobuf text.
std::string ValueText(const Message& message, const FieldDescriptor* field, int index) {
  std::string text;
  TextFormat::PrintFieldValueToString(message, field, index, &text);
  return text;
}

std::string ListText(const Message& message, const FieldDescriptor* field) {
  const int size = message.GetReflection()->FieldSize(message, field);
  std::string text = "[";
  for (int i = 0; i < size; ++i) {
    const std::string value =
        field->message_type() == nullptr
            ? ValueText(message, field, i)
            : absl::StrCat(
                  "{",
                  message.GetReflection()->GetRepeatedMessage(message, field, i).ShortDebugString(),
                  "}");
    absl::StrAppend(&text, i > 0 ? ", " : "", value);
  }
  return text + "]";
}

std::string MessageText(const Message& message, const FieldDescriptor* field) {
  const Reflection* reflection = message.GetReflection();
  if (!reflection->HasField(message, field)) return kNone;
  return absl::StrCat("{", reflection->GetMessage(message, field).ShortDebugString(), "}");
}

std::string LeafText(const Message& message, const FieldDescriptor* field) {
  if (field->is_repeated()) return ListText(message, field);
  return HasValue(message, field) ? ValueText(message, field, -1) : kNone;
}

class Comparison {
 public:
  void Compare(const std::string& prefix, const Message& before, const Message& after) {
    const Descriptor* type = before.GetDescriptor();
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor* field = type->field(i);
      const std::string path = absl::StrCat(prefix, prefix.empty() ? "" : ".", field->name());
      if (field->message_type() == nullptr) {
        Add(path, LeafText(before, field), LeafText(after, field), EffectOf(*field));
      } else if (field->is_repeated()) {
        CompareMessages(path, field, before, after);
      } else {
        CompareMessage(path, field, before, after);
      }
    }
  }
  std::vector<FieldChange> Changes() && { return std::move(changes_); }

 private:
  void CompareMessage(const std::string& path, const FieldDescriptor* field, const Message& before,
                      const Message& after) {
    const Reflection* reflection = before.GetReflection();
    if (reflection->HasField(before, field) && reflection->HasField(after, field)) {
      Compare(path, reflection->GetMessage(before, field), reflection->GetMessage(after, field));
    } else {
      AddWhole(path, field, MessageText(before, field), MessageText(after, field));
    }
  }

  void CompareMessages(const std::string& path, const FieldDescriptor* field, const Message& before,
                       const Message& after) {
    const Reflection* reflection = before.GetReflection();
    const int size = reflection->FieldSize(before, field);
    if (size != reflection->FieldSize(after, field)) {
      return AddWhole(path, field, ListText(before, field), ListText(after, field));
    }
    for (int i = 0; i < size; ++i) {
      Compare(absl::StrCat(path, "[", i, "]"), reflection->GetRepeatedMessage(before, field, i),
              reflection->GetRepeatedMessage(after, field, i));
    }
  }

  void AddWhole(const std::string& path, const FieldDescriptor* field, std::string before,
                std::string after) {
    std::set<const Descriptor*> visited;
    Add(path, std::move(before), std::move(after),
        EffectOfMessage(*field->message_type(), &visited));
  }

  void Add(const std::string& path, std::string before, std::string after, Effect e) {
    if (before != after) changes_.push_back({path, std::move(before), std::move(after), e});
  }

  std::vector<FieldChange> changes_;
};

}  // namespace

std::vector<FieldChange> CompareFields(const Message& before, const Message& after) {
  TORII_CHECK(before.GetDescriptor() == after.GetDescriptor(), "messages of two types");
  Comparison comparison;
  comparison.Compare("", before, after);
  return std::move(comparison).Changes();
}

std::string ToText(const FieldChange& change) {
  return absl::StrCat(change.field, " ", change.before, " -> ", change.after);
}

}  // namespace torii
