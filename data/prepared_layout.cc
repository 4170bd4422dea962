#include "data/prepared_layout.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/sealed_text.h"
#include "google/protobuf/text_format.h"

namespace torii::data {
namespace {

constexpr int kDeepestMessage = 32;
constexpr int64_t kDigestBlock = 4 << 20;

}  // namespace

std::string_view PartName(Part part) {
  constexpr std::string_view kNames[kNumParts] = {"train", "valid", "test"};
  return kNames[static_cast<int>(part)];
}

std::string_view SideName(SideKind side) { return side == SideKind::kUsers ? "users" : "items"; }

std::string PartFile(Part part, std::string_view array) {
  return std::string(PartName(part)) + "." + std::string(array);
}

std::string SideArrayFile(SideKind side, std::string_view array) {
  return std::string(SideName(side)) + "." + std::string(array);
}

std::string FeatureFile(SideKind side, int feature, std::string_view array) {
  return absl::StrCat(std::string(SideName(side)), ".feature.", feature, ".", std::string(array));
}

absl::StatusOr<PreparedDataset> ReadPreparedMeta(FileSystem& files, const std::string& folder) {
  const std::string path = JoinPath(folder, kPreparedMetaName);
  TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(path));
  if (!info.exists) {
    return NoInputError(absl::StrCat(folder, ": no prepared dataset there (", kPreparedMetaName,
                                     " is missing); run `torii prepare` first"));
  }
  TORII_ASSIGN_OR_RETURN(const std::string text, ReadFile(files, path));
  PreparedDataset meta;
  google::protobuf::TextFormat::Parser parser;
  // An older or newer layout may have fields of its own; the version below decides.
  parser.AllowUnknownField(true);
  parser.SetRecursionLimit(kDeepestMessage);
  if (!parser.ParseFromString(text, &meta) || !meta.has_version()) {
    return DataError(absl::StrCat(path, ": cannot be parsed; run `torii prepare` again"));
  }
  if (meta.version() != kPreparedVersion) {
    return DataError(absl::StrCat(path, ": layout version ", meta.version(),
                                  ", this program reads version ", kPreparedVersion,
                                  "; run `torii prepare` with the raw files again"));
  }
  if (const absl::Status sealed = CheckSeal(text); !sealed.ok()) {
    return DataError(absl::StrCat(path, ": ", sealed.message(), "; run `torii prepare` again"));
  }
  for (const PreparedFile& file : meta.file()) {
    const std::string& name = file.name();
    if (!name.empty() && name.front() != '.' && name.find('/') == std::string::npos) continue;
    return DataError(absl::StrCat(path, ": lists the file '", file.name(),
                                  "', which is not in this folder; run `torii prepare` again"));
  }
  return meta;
}

absl::StatusOr<std::string> DigestOfFile(FileSystem& files, const std::string& path) {
  TORII_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, files.OpenForReading(path));
  Digest digest;
  std::vector<char> block(static_cast<size_t>(std::min(kDigestBlock, file->size())));
  for (int64_t at = 0; at < file->size(); at += kDigestBlock) {
    const int64_t size = std::min(kDigestBlock, file->size() - at);
    TORII_RETURN_IF_ERROR(file->ReadAt(at, size, block.data()));
    digest.Update(block.data(), static_cast<size_t>(size));
  }
  return digest.Hex();
}

absl::Status VerifyPreparedFiles(FileSystem& files, const std::string& folder,
                                 const PreparedDataset& meta, VerifyDepth depth) {
  for (const PreparedFile& file : meta.file()) {
    const std::string path = JoinPath(folder, file.name());
    TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(path));
    if (!info.exists) {
      return DataError(absl::StrCat(path, ": is missing; run `torii prepare` again"));
    }
    if (info.size != file.size()) {
      return DataError(absl::StrCat(path, ": has ", info.size, " bytes, ", file.size(),
                                    " were written; run `torii prepare` again"));
    }
    if (depth == VerifyDepth::kSizes) {
      continue;
    }
    TORII_ASSIGN_OR_RETURN(const std::string digest, DigestOfFile(files, path));
    if (digest != file.digest()) {
      return DataError(absl::StrCat(path, ": content digest ", digest, ", written was ",
                                    file.digest(), ": damaged; run `torii prepare` again"));
    }
  }
  return absl::OkStatus();
}

std::string PreparedContentDigest(const PreparedDataset& meta) {
  std::vector<std::string> lines;
  for (const PreparedFile& file : meta.file()) {
    lines.push_back(absl::StrCat(file.name(), " ", file.size(), " ", file.digest(), "\n"));
  }
  std::sort(lines.begin(), lines.end());
  Digest digest;
  for (const std::string& line : lines) {
    digest.Update(line.data(), line.size());
  }
  return digest.Hex();
}

}  // namespace torii::data
