#include "trainer/checkpoint/remove_checkpoint.h"

#include <functional>
#include <vector>

#include "absl/strings/match.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "trainer/checkpoint/checkpoint_manifest.h"

namespace torii::trainer {
namespace {

constexpr char kPartial[] = ".partial";

// Of a checkpoint, or of one of its files that is being written.
bool IsOfCheckpoint(const std::string& name) {
  return absl::StartsWith(name, kManifestName) || absl::StartsWith(name, kReplicatedName) ||
         (absl::StartsWith(name, "shard-") && absl::StrContains(name, ".safetensors"));
}

// "step-00001200", "step-00001200.partial".
bool IsCheckpoint(const std::string& name) {
  if (!absl::StartsWith(name, "step-")) return false;
  const size_t end = name.find_first_not_of("0123456789", 5);
  return end > 5 && (end == std::string::npos || name.substr(end) == kPartial);
}

// Calls remove(path) for each entry of `folder` whose name is ours; then the folder goes, unless
// something is left in it.
absl::Status RemoveOurs(FileSystem& files, const std::string& folder,
                        bool (*is_ours)(const std::string& name),
                        const std::function<absl::Status(const std::string& path)>& remove) {
  TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(folder));
  if (!info.exists) return absl::OkStatus();
  if (!info.is_directory) {
    TORII_WARNING(folder, " stays: it is a file, which Torii did not write");
    return absl::OkStatus();
  }
  TORII_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.List(folder));
  for (const std::string& name : names) {
    if (is_ours(name)) TORII_RETURN_IF_ERROR(remove(JoinPath(folder, name)));
  }
  TORII_ASSIGN_OR_RETURN(const std::vector<std::string> left, files.List(folder));
  if (left.empty()) return files.RemoveAll(folder);
  TORII_WARNING(folder, " stays: it holds ", left.front(),
                left.size() > 1 ? " and other files" : "", ", which Torii did not write");
  return absl::OkStatus();
}

}  // namespace

absl::Status RemoveCheckpoint(FileSystem& files, const std::string& path) {
  return RemoveOurs(files, path, IsOfCheckpoint,
                    [&](const std::string& file) { return files.RemoveAll(file); });
}

absl::Status RemovePartials(FileSystem& files, const std::string& directory) {
  TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(directory));
  if (!info.is_directory) return absl::OkStatus();
  TORII_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.List(directory));
  for (const std::string& name : names) {
    if (!IsCheckpoint(name) || !absl::EndsWith(name, kPartial)) continue;
    const absl::Status removed = RemoveCheckpoint(files, JoinPath(directory, name));
    if (!removed.ok()) {
      TORII_WARNING("what a kill left could not be removed: ", std::string(removed.message()));
    }
  }
  return absl::OkStatus();
}

absl::Status RemoveCheckpoints(FileSystem& files, const std::string& directory) {
  return RemoveOurs(files, directory, IsCheckpoint, [&](const std::string& checkpoint) {
    return RemoveCheckpoint(files, checkpoint);
  });
}

}  // namespace torii::trainer
