// A profile of some steps: the spans of every rank and thread in one file for chrome://tracing or
// ui.perfetto.dev.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "base/file_system.h"
#include "base/trace.h"
#include "comm/communicator.h"

namespace torii::trainer {

struct ProfileOptions {
  std::string path;    // empty: no profile
  int64_t steps = 10;  // how many are recorded
};

// Steps that run before the recorded ones, if the run is long enough, so that caches are full and
// memory is allocated.
inline constexpr int64_t kStepsBeforeProfile = 20;

class Profile {
 public:
  // Of a run of the steps [begin, end).
  Profile(ProfileOptions options, int64_t begin, int64_t end);
  // Where threads record; null without a profile.
  Trace* trace() { return options_.path.empty() ? nullptr : &trace_; }
  // To be called around every step, on all ranks. BeforeStep acts only at the first recorded step:
  // a barrier, so that the times of all ranks begin together. AfterStep acts only after the last
  // recorded step: rank 0 writes the file. Both are collective then.
  absl::Status BeforeStep(comm::Communicator& comm, int64_t step);
  absl::Status AfterStep(FileSystem& files, comm::Communicator& comm, int64_t step);

 private:
  const ProfileOptions options_;
  int64_t first_ = -1, last_ = -1;  // recorded
  Trace trace_;
};

}  // namespace torii::trainer
