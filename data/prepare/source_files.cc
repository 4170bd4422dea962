#include "data/prepare/source_files.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/secrets.h"
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

std::string SettingsDigest(const DataConfig& config) {
  DataConfig relevant = config;
  relevant.clear_prepared_dir();
  relevant.clear_sort_buffer_rows();
  std::string text;
  google::protobuf::TextFormat::PrintToString(relevant, &text);
  Digest digest;
  digest.Update(absl::StrCat("layout ", kPreparedVersion, "\n"));
  digest.Update(RedactUris(text));
  if (HasText(config.users()) || HasText(config.items())) {
    digest.Update(absl::StrCat("tokenizer ", TokenizerVersion(), "\n"));
  }
  return digest.Hex();
}

absl::StatusOr<std::vector<SourceFile>> DigestSources(FileSystem& files, const DataInputs& inputs) {
  std::vector<SourceFile> sources;
  for (const InputFile& input : inputs.All()) {
    // First the time: a file that changes while it is read has another one the next time.
    TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(input.path));
    SourceFile& source = sources.emplace_back();
    source.set_path(input.path);
    source.set_size(info.size);
    source.set_modified_ns(info.modified_ns);
    TORII_ASSIGN_OR_RETURN(*source.mutable_digest(), DigestOfFile(files, input.path));
  }
  return sources;
}

absl::StatusOr<bool> SameSources(FileSystem& files, const DataInputs& inputs,
                                 const PreparedDataset& dataset, SourceCheck check) {
  const std::vector<InputFile> all = inputs.All();
  if (static_cast<int>(all.size()) != dataset.source_size()) {
    return false;
  }
  std::vector<const InputFile*> to_read;
  for (size_t k = 0; k < all.size(); ++k) {
    const SourceFile& source = dataset.source(static_cast<int>(k));
    TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(all[k].path));
    if (RedactUris(all[k].path) != source.path() || info.size != source.size()) {
      return false;
    }
    const bool same_time = info.modified_ns != 0 && info.modified_ns == source.modified_ns();
    to_read.push_back(same_time && check == SourceCheck::kSizeAndTime ? nullptr : &all[k]);
  }
  for (size_t k = 0; k < all.size(); ++k) {
    if (to_read[k] == nullptr) {
      continue;
    }
    TORII_ASSIGN_OR_RETURN(const std::string digest, DigestOfFile(files, all[k].path));
    if (digest != dataset.source(static_cast<int>(k)).digest()) {
      return false;
    }
  }
  return true;
}

}  // namespace torii::data
