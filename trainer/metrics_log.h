// metrics.jsonl: one JSON object a line (docs/metrics.md), appended by rank 0. When a run resumes,
// the lines of steps that will be done again are removed first.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/file_system.h"

namespace torii::trainer {

class MetricsLog {
 public:
  // Opens `path` for appending after dropping lines with "step" > last_step.
  static absl::StatusOr<std::unique_ptr<MetricsLog>> Open(FileSystem& files,
                                                          const std::string& path,
                                                          int64_t last_step);
  // Writes {"ts":..., "step":..., "epoch":..., "phase":..., values...}. A value that is not finite
  // is written as null.
  absl::Status Write(int64_t step, int64_t epoch, const std::string& phase,
                     const std::map<std::string, double>& values);
  absl::Status Close();

 private:
  explicit MetricsLog(std::unique_ptr<WritableFile> file) : file_(std::move(file)) {}
  std::unique_ptr<WritableFile> file_;
};

}  // namespace torii::trainer
