#include "data/prepare/prepared_folder.h"

#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "data/prepared_layout.h"

namespace torii::data {
namespace {

// Whether the name is one that a prepared dataset may have: for folders whose list of files cannot
// be read.
bool IsArrayName(const std::string& name) {
  const auto any = [&](const auto& texts, const auto& holds) {
    return std::any_of(std::begin(texts), std::end(texts), [&](const char* t) { return holds(t); });
  };
  constexpr const char* kBegins[] = {"train.", "valid.", "test.",
                                     "users.", "items.", "item_counts."};
  constexpr const char* kEnds[] = {".i64", ".i32", ".f32", ".u8"};
  return any(kBegins, [&](const char* t) { return absl::StartsWith(name, t); }) &&
         any(kEnds, [&](const char* t) { return absl::EndsWith(name, t); });
}

std::vector<std::string> ForeignNames(FileSystem& files, const std::string& folder,
                                      const std::vector<std::string>& names) {
  std::set<std::string> listed = {kPreparedMetaName, absl::StrCat(kPreparedMetaName, ".tmp"),
                                  kRejectedName};
  const absl::StatusOr<PreparedDataset> meta = ReadPreparedMeta(files, folder);
  if (meta.ok()) {
    for (const PreparedFile& file : meta->file()) listed.insert(file.name());
  }
  const bool has_meta = std::count(names.begin(), names.end(), kPreparedMetaName) > 0;
  std::vector<std::string> foreign;
  for (const std::string& name : names) {
    const bool ours = listed.contains(name) || (has_meta && !meta.ok() && IsArrayName(name));
    if (!ours) foreign.push_back(name);
  }
  return foreign;
}

}  // namespace

absl::StatusOr<std::unique_ptr<StagedFolder>> OpenPreparedFolder(FileSystem& files,
                                                                 const std::string& folder) {
  return StagedFolder::Open(
      files, folder,
      {.what = absl::StrCat("the prepared dataset ", folder),
       .remedy = "choose another data.prepared_dir",
       .foreign = [&files](const std::string& path, const std::vector<std::string>& names) {
         return ForeignNames(files, path, names);
       }});
}

}  // namespace torii::data
