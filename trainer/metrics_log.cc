#include "trainer/metrics_log.h"

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "trainer/checkpoint/shallow_json.h"

namespace torii::trainer {
namespace {

// The lines of `content` that a run resumed after `last_step` keeps. What is no such line (cut off
// by a kill, written by someone else) is left out.
std::string KeptLines(const std::string& content, int64_t last_step, const std::string& path) {
  std::istringstream lines(content);
  std::string kept;
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::string where = absl::StrCat(path, ":", ++number);
    const auto entry = ParseShallowJson(line, where);
    const auto step =
        entry.ok() ? IntegerMember(*entry, "step", where) : absl::StatusOr<int64_t>(entry.status());
    if (!step.ok()) {
      TORII_WARNING("a line is left out: ", std::string(step.status().message()));
    } else if (*step <= last_step) {
      kept += line + "\n";
    }
  }
  return kept;
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsLog>> MetricsLog::Open(FileSystem& files,
                                                             const std::string& path,
                                                             int64_t last_step) {
  TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(path));
  if (info.exists) {
    TORII_ASSIGN_OR_RETURN(const std::string content, ReadFile(files, path));
    TORII_RETURN_IF_ERROR(WriteFileAtomically(files, path, KeptLines(content, last_step, path)));
  }
  TORII_ASSIGN_OR_RETURN(auto file, files.OpenForAppending(path));
  return std::unique_ptr<MetricsLog>(new MetricsLog(std::move(file)));
}

absl::Status MetricsLog::Write(int64_t step, int64_t epoch, const std::string& phase,
                               const std::map<std::string, double>& values) {
  TORII_FAILPOINT("metrics.write");
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  nlohmann::ordered_json line;
  line["ts"] =
      static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count()) /
      1000.0;
  line["step"] = step;
  line["epoch"] = epoch;
  line["phase"] = phase;
  for (const auto& [name, value] : values) {
    line[name] = std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
  }
  return file_->Append(line.dump() + "\n");
}

absl::Status MetricsLog::Close() {
  TORII_RETURN_IF_ERROR(file_->Sync());
  return file_->Close();
}

}  // namespace torii::trainer
