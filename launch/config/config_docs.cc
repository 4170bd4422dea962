#include "launch/config/config_docs.h"

#include <memory>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/exit_code.h"
#include "base/field_options.pb.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"

namespace torii::launch {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;

constexpr char kIntroduction[] =
    R"(# Configuration

A configuration file is protobuf text (`my.txtpb`). This page lists every field with its type, its default and
what it means. It is generated from the comments of the `.proto` files: after changing one, run
`torii config --docs > docs/configuration.md`.

- Several `--config` files are laid over one another: a later one overrides an earlier one, field by field; a
  list of a later file replaces the earlier list.
- `--set a.b.c=value` overrides both: `--set train.epochs=3`, `--set eval.k=[10,100]`,
  `--set data.users.feature[0].name=city`, `--set 'data.split={last_k: 1}'`, `--set data.split=` (back to the
  default). Strings need no quotes.
- An unknown field or value is an error with file, line and column. Every broken rule is reported at once, each
  with the place where its field was given, before any work starts. The program ends with 78 (docs/errors.md).
- "At resume" says what happens to a run that goes on from its checkpoint with another value: a `fixed` field is
  refused by name (docs/checkpoint.md), a `free` one is taken over and said; `free, per rank`: ranks of one run may
  differ in it as well; `length`: free unless the learning rate of a step depends on the length (`train.schedule`).
- `torii config print` shows the result, `torii config check` checks it, `torii config defaults` prints all
  defaults.
)";

// The comment before `descriptor` as one line of Markdown.
template <typename AnyDescriptor>
std::string Comment(const AnyDescriptor& descriptor) {
  google::protobuf::SourceLocation location;
  if (!descriptor.GetSourceLocation(&location)) return "";
  std::string text = location.leading_comments + location.trailing_comments;
  absl::RemoveExtraAsciiWhitespace(&text);
  return absl::StrReplaceAll(text, {{"|", "\\|"}});
}

std::string TypeName(const FieldDescriptor& field) {
  std::string name = field.type_name();
  if (field.enum_type() != nullptr) {
    std::vector<std::string> values;
    for (int i = 0; i < field.enum_type()->value_count(); ++i) {
      values.push_back(field.enum_type()->value(i)->name());
    }
    name = absl::StrJoin(values, ", ");
  } else if (field.message_type() != nullptr) {
    std::string anchor = field.message_type()->name();
    absl::AsciiStrToLower(&anchor);
    name = absl::StrCat("[", field.message_type()->name(), "](#", anchor, ")");
  }
  return field.is_repeated() ? absl::StrCat("list of ", name) : name;
}

std::string DefaultText(const FieldDescriptor& field) {
  if (field.message_type() != nullptr || field.is_repeated() || !field.has_default_value()) {
    return "";
  }
  google::protobuf::FieldDescriptorProto proto;
  field.CopyTo(&proto);
  const bool text = field.cpp_type() == FieldDescriptor::CPPTYPE_STRING;
  return text ? absl::StrCat("`\"", proto.default_value(), "\"`")
              : absl::StrCat("`", proto.default_value(), "`");
}

// "QUANTILE: ... BUCKETS: ..." where the values have comments.
std::string ValueComments(const EnumDescriptor& type) {
  std::string out;
  for (int i = 0; i < type.value_count(); ++i) {
    const std::string comment = Comment(*type.value(i));
    if (!comment.empty()) absl::StrAppend(&out, " `", type.value(i)->name(), "`: ", comment);
  }
  return out;
}

// What another value does to a run that goes on from a checkpoint.
std::string EffectText(const FieldDescriptor& field) {
  if (field.message_type() != nullptr) return "";
  switch (field.options().GetExtension(effect)) {
    case MEANING:
      return "fixed";
    case LENGTH:
      return "length";
    case FREE:
      return "free";
    case LOCAL:
      return "free, per rank";
    case UNMARKED:
      break;
  }
  return "";
}

std::string FieldRow(const FieldDescriptor& field) {
  std::string meaning = Comment(field);
  if (field.enum_type() != nullptr) {
    if (meaning.empty()) meaning = Comment(*field.enum_type());
    absl::StrAppend(&meaning, ValueComments(*field.enum_type()));
  } else if (field.message_type() != nullptr && meaning.empty()) {
    meaning = Comment(*field.message_type());
  }
  if (field.real_containing_oneof() != nullptr) {
    meaning = absl::StrCat("(one of `", field.real_containing_oneof()->name(), "`) ", meaning);
  }
  return absl::StrCat("| `", field.name(), "` | ", TypeName(field), " | ", DefaultText(field),
                      " | ", EffectText(field), " | ", absl::StripAsciiWhitespace(meaning), " |\n");
}

// The messages of the fields of `type`, each after its first user, depth first.
void Collect(const Descriptor* type, std::vector<const Descriptor*>* out) {
  for (const Descriptor* seen : *out) {
    if (seen == type) return;
  }
  out->push_back(type);
  for (int i = 0; i < type->field_count(); ++i) {
    if (type->field(i)->message_type() != nullptr) Collect(type->field(i)->message_type(), out);
  }
}

}  // namespace

absl::StatusOr<std::string> ConfigDocs(std::string_view descriptors, const std::string& root) {
  google::protobuf::FileDescriptorSet set;
  if (!set.ParseFromArray(descriptors.data(), static_cast<int>(descriptors.size()))) {
    return InternalError("the embedded descriptors cannot be parsed");
  }
  DescriptorPool pool;
  for (const auto& file : set.file()) {
    if (pool.BuildFile(file) == nullptr) {
      return InternalError(absl::StrCat("the embedded descriptors of ", file.name(), " are bad"));
    }
  }
  const Descriptor* type = pool.FindMessageTypeByName(root);
  if (type == nullptr) return InternalError(absl::StrCat("no message ", root));
  std::vector<const Descriptor*> types;
  Collect(type, &types);
  std::string out = kIntroduction;
  for (const Descriptor* each : types) {
    absl::StrAppend(&out, "\n## ", each->name(), "\n\n");
    const std::string comment = Comment(*each);
    if (!comment.empty()) absl::StrAppend(&out, comment, "\n\n");
    if (each->field_count() == 0) {
      absl::StrAppend(&out, "No fields.\n");
      continue;
    }
    absl::StrAppend(&out,
                    "| field | type | default | at resume | meaning |\n|---|---|---|---|---|\n");
    for (int i = 0; i < each->field_count(); ++i) absl::StrAppend(&out, FieldRow(*each->field(i)));
  }
  return out;
}

}  // namespace torii::launch
