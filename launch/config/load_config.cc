#include "launch/config/load_config.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "google/protobuf/text_format.h"
#include "launch/config/config_override.h"
#include "launch/config/config_text.h"
#include "model/model_rules.h"
#include "sharding/table_config.h"

namespace torii::launch {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Some editors begin a file with a mark, which is no part of its text.
std::string WithoutByteOrderMark(const std::string& text) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  return text.starts_with(kMark) ? text.substr(kMark.size()) : text;
}

// Sets the scalar `field` of `message` to its default.
void SetDefault(const FieldDescriptor* field, Message* message) {
  const Reflection* reflection = message->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->SetInt32(message, field, field->default_value_int32());
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->SetInt64(message, field, field->default_value_int64());
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection->SetUInt32(message, field, field->default_value_uint32());
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->SetUInt64(message, field, field->default_value_uint64());
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection->SetFloat(message, field, field->default_value_float());
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->SetDouble(message, field, field->default_value_double());
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(message, field, field->default_value_bool());
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->SetEnum(message, field, field->default_value_enum());
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->SetString(message, field, field->default_value_string());
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return;
  }
}

// Fills the scalars of `message` and of every message that it has.
void FillPresent(Message* message) {
  const Reflection* reflection = message->GetReflection();
  const auto* type = message->GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (field->message_type() != nullptr) {
      if (field->is_repeated()) {
        for (int j = 0; j < reflection->FieldSize(*message, field); ++j) {
          FillPresent(reflection->MutableRepeatedMessage(message, field, j));
        }
      } else if (reflection->HasField(*message, field)) {
        FillPresent(reflection->MutableMessage(message, field));
      }
    } else if (field->has_default_value() && !reflection->HasField(*message, field)) {
      SetDefault(field, message);
    }
  }
}

void OverlayList(const Message& over, const FieldDescriptor* field, Message* base) {
  // One list at a time through a message that has only this field: MergeFrom then copies every
  // type.
  base->GetReflection()->ClearField(base, field);
  std::unique_ptr<Message> only(over.New());
  only->CopyFrom(over);
  std::vector<const FieldDescriptor*> fields;
  only->GetReflection()->ListFields(*only, &fields);
  for (const FieldDescriptor* other : fields) {
    if (other != field) only->GetReflection()->ClearField(only.get(), other);
  }
  base->MergeFrom(*only);
}

}  // namespace

absl::Status ParseConfigText(const std::string& text, const std::string& name, Message* message,
                             ConfigLocations* locations) {
  message->Clear();
  std::vector<std::string> lines;
  google::protobuf::TextFormat::ParseInfoTree places;
  for (const TextError& error : ParseText(WithoutByteOrderMark(text), message, &places)) {
    lines.push_back(absl::StrCat(name, ":", error.line, ":", error.column, ": ", error.message));
  }
  if (!lines.empty()) return ConfigError(absl::StrJoin(lines, "\n"));
  if (locations != nullptr) locations->AddFile(name, *message, places);
  return absl::OkStatus();
}

absl::Status ApplyOverrides(const std::vector<std::string>& assignments, Message* message,
                            ConfigLocations* locations) {
  std::vector<std::string> problems;
  for (const std::string& assignment : assignments) {
    const absl::Status applied = ApplyOverride(assignment, message);
    if (!applied.ok()) {
      problems.push_back(std::string(applied.message()));
    } else if (locations != nullptr) {
      locations->AddAssignment(PathOfOverride(assignment), assignment);
    }
  }
  return problems.empty() ? absl::OkStatus() : ConfigError(absl::StrJoin(problems, "\n"));
}

void Overlay(const Message& over, Message* base) {
  std::vector<const FieldDescriptor*> fields;
  over.GetReflection()->ListFields(over, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->message_type() != nullptr && !field->is_repeated()) {
      Overlay(over.GetReflection()->GetMessage(over, field),
              base->GetReflection()->MutableMessage(base, field));
    } else {
      OverlayList(over, field, base);
    }
  }
}

void FillDefaults(RunConfig* config) {
  config->mutable_data()->mutable_interactions();
  config->mutable_data()->mutable_filters();
  model::FillDefaultKinds(config->mutable_model());
  // Written down, WORLD would contradict full_corpus; left out, it does not.
  if (config->sampler().full_corpus() && !config->sampler().has_in_batch()) {
    config->mutable_sampler()->set_in_batch(sampler::SamplerConfig::NONE);
  }
  config->mutable_sampler();
  // Written out, the defaults of the message would override those of `tables`.
  for (sharding::TableConfig& table : *config->mutable_table()) {
    table = sharding::WithDefaults(table, config->tables());
  }
  config->mutable_tables();
  config->mutable_train()->mutable_dense();
  config->mutable_train()->mutable_schedule();
  config->mutable_train()->mutable_checkpoint();
  config->mutable_eval();
  if (config->eval().k_size() == 0) {
    for (const int k : {10, 20, 50}) config->mutable_eval()->add_k(k);
  }
  FillPresent(config);
}

std::string PrintConfig(const Message& message) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetUseShortRepeatedPrimitives(true);
  printer.SetUseUtf8StringEscaping(true);
  std::string text;
  printer.PrintToString(message, &text);
  return text;
}

absl::StatusOr<RunConfig> LoadConfig(FileSystem& files, const ConfigSources& sources,
                                     ConfigLocations* locations) {
  RunConfig config;
  std::vector<std::string> problems;
  for (const std::string& path : sources.files) {
    const absl::StatusOr<std::string> text = ReadFile(files, path);
    if (!text.ok()) return Annotate(text.status(), "--config");
    RunConfig over;
    const absl::Status parsed = ParseConfigText(*text, path, &over, locations);
    if (!parsed.ok()) {
      problems.push_back(std::string(parsed.message()));
    } else {
      Overlay(over, &config);
    }
  }
  const absl::Status applied = ApplyOverrides(sources.sets, &config, locations);
  if (!applied.ok()) problems.push_back(std::string(applied.message()));
  if (!problems.empty()) return ConfigError(absl::StrJoin(problems, "\n"));
  if (sources.run_dir.has_value()) config.set_run_dir(*sources.run_dir);
  if (sources.prepared_dir.has_value()) {
    config.mutable_data()->set_prepared_dir(*sources.prepared_dir);
  }
  if (sources.seed.has_value()) config.set_seed(*sources.seed);
  FillDefaults(&config);
  return config;
}

}  // namespace torii::launch
