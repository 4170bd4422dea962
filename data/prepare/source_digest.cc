#include "data/prepare/source_digest.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "data/encode/text_tokens.h"
#include "google/protobuf/text_format.h"

namespace torii::data {
namespace {

std::vector<std::string> Paths(const google::protobuf::RepeatedPtrField<std::string>& paths) {
  return {paths.begin(), paths.end()};
}

bool HasText(const SideFile& side) {
  return std::any_of(side.feature().begin(), side.feature().end(),
                     [](const Feature& feature) { return feature.has_text(); });
}

}  // namespace

std::vector<InputFile> DataInputs::All() const {
  std::vector<InputFile> all;
  for (const std::vector<InputFile>& part : interactions.of_part) {
    all.insert(all.end(), part.begin(), part.end());
  }
  all.insert(all.end(), users.begin(), users.end());
  all.insert(all.end(), items.begin(), items.end());
  return all;
}

absl::StatusOr<DataInputs> FindDataInputs(FileSystem& files, const DataConfig& config) {
  DataInputs inputs;
  std::vector<InputFile>* parts = inputs.interactions.of_part;
  const FileFormat format = FormatOf(config.interactions());
  TORII_ASSIGN_OR_RETURN(
      parts[static_cast<int>(Part::kTrain)],
      FindInputFiles(files, Paths(config.interactions().path()), format, "data.interactions.path"));
  TORII_ASSIGN_OR_RETURN(
      parts[static_cast<int>(Part::kValid)],
      FindInputFiles(files, Paths(config.valid_path()), format, "data.valid_path"));
  TORII_ASSIGN_OR_RETURN(
      parts[static_cast<int>(Part::kTest)],
      FindInputFiles(files, Paths(config.test_path()), format, "data.test_path"));
  TORII_ASSIGN_OR_RETURN(inputs.users, FindInputFiles(files, Paths(config.users().path()),
                                                      FormatOf(config.users()), "data.users.path"));
  TORII_ASSIGN_OR_RETURN(inputs.items, FindInputFiles(files, Paths(config.items().path()),
                                                      FormatOf(config.items()), "data.items.path"));
  return inputs;
}

absl::StatusOr<std::string> SourceDigest(FileSystem& files, const DataConfig& config,
                                         const DataInputs& inputs) {
  DataConfig relevant = config;
  relevant.clear_prepared_dir();
  relevant.clear_sort_buffer_rows();
  std::string text;
  google::protobuf::TextFormat::PrintToString(relevant, &text);
  Digest digest;
  digest.Update(absl::StrCat("layout ", kPreparedVersion, "\n"));
  digest.Update(text);
  if (HasText(config.users()) || HasText(config.items())) {
    digest.Update(absl::StrCat("tokenizer ", TokenizerVersion(), "\n"));
  }
  for (const InputFile& input : inputs.All()) {
    TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(input.path));
    TORII_ASSIGN_OR_RETURN(const std::string content, DigestOfFile(files, input.path));
    digest.Update(absl::StrCat(input.path, " ", info.size, " ", content, "\n"));
  }
  return digest.Hex();
}

}  // namespace torii::data
