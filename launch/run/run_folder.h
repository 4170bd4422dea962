// The folder of a run (docs/cli.md): the command, the machine, the configuration and the state of
// the run.
//
//   config.resolved.txtpb  command.txt  environment.json  STATUS.json  logs/rank-0000.log
//   lock and lease (base/files/lease.h) while a run has the folder
//   metrics.jsonl and checkpoints/ are the trainer's.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/files/lease.h"

namespace torii::launch {

struct RunIdentity {
  std::string command_line;
  std::string resolved_config;
  int world_size = 1;
  std::string launcher;
};

// Owned by rank 0, which alone writes into it (other ranks write their logs and checkpoint shards).
// Nobody else has the folder while the object lives.
class RunFolder {
 public:
  // kCannotCreate if another run has the folder. take: the user knows that a run on another machine
  // which has it is gone.
  static absl::StatusOr<std::unique_ptr<RunFolder>> Open(FileSystem& files, const std::string& path,
                                                         const RunIdentity& identity,
                                                         bool take = false);
  // kCannotCreate if another run has taken the folder over. To be asked before a checkpoint gets
  // its name.
  absl::Status CheckHeld() { return lease_->CheckHeld(); }

  // Writes down what is run now. Open does it in a new folder; a run that goes on does it once its
  // configuration was accepted.
  absl::Status RecordIdentity(const RunIdentity& identity);
  // Replaces STATUS.json: {"phase": "train", "step": 1200, "exit_code": null, "error": null,
  // "restarts": 1, ...}.
  absl::Status SetPhase(const std::string& phase);
  // The end of the run with `step` steps saved; the phase becomes "done", "interrupted" or
  // "failed".
  absl::Status SetEnd(const absl::Status& status, int64_t step);

 private:
  RunFolder(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
  absl::Status WriteStatus();

  FileSystem& files_;
  std::string path_;
  std::unique_ptr<Lease> lease_;
  std::string phase_ = "start", started_, error_;
  int world_size_ = 1;
  int64_t step_ = 0, restarts_ = 0;
  int exit_code_ = -1;  // -1: still running
};

// kConfig if one of the folders is where the other one's files may be replaced or moved: the run
// folder in the prepared one, or that in the checkpoints or logs of a run. Symbolic links are
// followed.
absl::Status CheckApart(FileSystem& files, const std::string& run_dir,
                        const std::string& prepared_dir);

// Writes `failure` into STATUS.json unless that already tells of an end. For the rank that ends the
// world because of an error while rank 0 still waits.
absl::Status RecordFailure(FileSystem& files, const std::string& path, const absl::Status& failure);

// "logs/rank-0003.log" in a run folder.
std::string RankLogPath(const std::string& run_dir, int rank);

// The variables of `environment` ("NAME=value") worth keeping: OMPI_*, SLURM_*, OMP_*, TORII_* and
// the like. Values of names with KEY, TOKEN, SECRET or PASS are replaced by "(redacted)". Pure.
std::map<std::string, std::string> KeptVariables(const std::vector<std::string>& environment);

// Of this process.
std::vector<std::string> Environment();

}  // namespace torii::launch
