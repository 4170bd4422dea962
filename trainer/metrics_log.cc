#include "trainer/metrics_log.h"

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/failpoint.h"
#include "base/status_macros.h"

namespace torii::trainer {
namespace {

// The lines of `content` that a run resumed after `last_step` keeps.
std::string KeptLines(const std::string& content, int64_t last_step) {
  std::istringstream lines(content);
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json entry = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (entry.is_discarded() || !entry.is_object()) continue;  // a line cut off by a kill
    if (entry.value("step", int64_t{0}) <= last_step) kept += line + "\n";
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
    TORII_RETURN_IF_ERROR(WriteFileAtomically(files, path, KeptLines(content, last_step)));
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
