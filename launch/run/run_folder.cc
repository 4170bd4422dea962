#include "launch/run/run_folder.h"

#include <unistd.h>

#include <ctime>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/secrets.h"
#include "base/status_macros.h"
#include "exports/json_text.h"
#include "launch/process/cores.h"
#include "launch/process/version.h"
#include "nlohmann/json.hpp"

extern char** environ;

namespace torii::launch {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kConfigName[] = "config.resolved.txtpb";
constexpr char kStatusName[] = "STATUS.json";

std::string Now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

// The JSON object in a file, null if there is none that can be read.
Json ReadObject(FileSystem& files, const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(files, path);
  if (!text.ok()) return nullptr;
  Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json : Json(nullptr);
}

// "restarts" of an earlier STATUS.json plus one, 0 if there is none that can be read.
int64_t CountRestart(FileSystem& files, const std::string& path) {
  const Json before = ReadObject(files, path);
  if (!before.is_object() || !before.contains("restarts")) return 0;
  return before["restarts"].is_number_integer() ? before["restarts"].get<int64_t>() + 1 : 0;
}

}  // namespace

absl::Status CheckApart(FileSystem& files, const std::string& run_dir,
                        const std::string& prepared_dir) {
  TORII_ASSIGN_OR_RETURN(const std::string run, files.RealPath(run_dir));
  TORII_ASSIGN_OR_RETURN(const std::string prepared, files.RealPath(prepared_dir));
  const auto is_in = [](const std::string& path, const std::string& folder) {
    return path == folder || absl::StartsWith(path, folder + "/");
  };
  if (is_in(run, prepared)) {
    return ConfigError(absl::StrCat("run_dir: ", run_dir, " is in data.prepared_dir, ",
                                    prepared_dir,
                                    ", which `torii prepare` replaces as a whole; "
                                    "choose folders beside each other"));
  }
  for (const char* room : {"checkpoints", "logs"}) {
    if (!is_in(prepared, JoinPath(run, room))) continue;
    return ConfigError(absl::StrCat("data.prepared_dir: ", prepared_dir, " is in the ", room,
                                    " of run_dir, ", run_dir,
                                    "; choose folders beside each other"));
  }
  return absl::OkStatus();
}

std::string RankLogPath(const std::string& run_dir, int rank) {
  return JoinPath(JoinPath(run_dir, "logs"), absl::StrFormat("rank-%04d.log", rank));
}

std::vector<std::string> Environment() {
  std::vector<std::string> out;
  for (char** variable = environ; *variable != nullptr; ++variable) out.emplace_back(*variable);
  return out;
}

std::map<std::string, std::string> KeptVariables(const std::vector<std::string>& environment) {
  std::map<std::string, std::string> kept;
  for (const std::string& variable : environment) {
    const size_t equals = variable.find('=');
    if (equals == std::string::npos) continue;
    const std::string name = variable.substr(0, equals);
    bool keep = name == "LANG" || name == "LD_LIBRARY_PATH" || name == "LD_PRELOAD";
    for (const char* prefix : {"OMPI_", "SLURM_", "OMP_", "TORII_", "PMIX_", "UCX_", "MKL_",
                               "NCCL_", "CUDA_", "LC_", "GOMP_"}) {
      keep = keep || name.starts_with(prefix);
    }
    if (!keep) continue;
    kept[name] = RedactUris(variable.substr(equals + 1));
    if (IsSecretVariable(name)) kept[name] = "(redacted)";
  }
  return kept;
}

absl::StatusOr<std::unique_ptr<RunFolder>> RunFolder::Open(FileSystem& files,
                                                           const std::string& path,
                                                           const RunIdentity& identity, bool take) {
  TORII_RETURN_IF_ERROR(files.MakeDirectories(JoinPath(path, "logs")));
  std::unique_ptr<RunFolder> folder(new RunFolder(files, path));
  TORII_ASSIGN_OR_RETURN(
      folder->lease_,
      Lease::Take(files, absl::StrCat(path, "/"),
                  {.what = absl::StrCat("the run folder ", path),
                   .remedy = "wait for it, or use another --run-dir (if you know that it is gone "
                             "although its machine does not say so: --take-lock)",
                   .take = take}));
  folder->started_ = Now();
  folder->world_size_ = identity.world_size;
  folder->restarts_ = CountRestart(files, JoinPath(path, kStatusName));
  // Of a run that goes on, the identity stays until it is known that it does.
  TORII_ASSIGN_OR_RETURN(const FileInfo config, files.Info(JoinPath(path, kConfigName)));
  if (!config.exists) TORII_RETURN_IF_ERROR(folder->RecordIdentity(identity));
  TORII_RETURN_IF_ERROR(folder->WriteStatus());
  return folder;
}

absl::Status RunFolder::RecordIdentity(const RunIdentity& identity) {
  TORII_RETURN_IF_ERROR(WriteFileAtomically(files_, JoinPath(path_, kConfigName),
                                            RedactUris(identity.resolved_config)));
  TORII_RETURN_IF_ERROR(WriteFileAtomically(files_, JoinPath(path_, "command.txt"),
                                            RedactUris(identity.command_line) + "\n"));
  Json environment;
  for (const auto& [name, value] : Versions()) environment["versions"][name] = value;
  environment["host"] = HostName();
  environment["pid"] = ::getpid();
  environment["world_size"] = identity.world_size;
  environment["launcher"] = identity.launcher;
  environment["allowed_cores"] = AllowedCores().size();
  environment["started"] = started_;
  environment["variables"] = KeptVariables(Environment());
  return WriteFileAtomically(files_, JoinPath(path_, "environment.json"),
                             exports::IndentedJson(environment));
}

absl::Status RunFolder::WriteStatus() {
  TORII_FAILPOINT("run_folder.status");
  TORII_RETURN_IF_ERROR(CheckHeld());
  Json status;
  status["phase"] = phase_;
  status["step"] = step_;
  status["exit_code"] = exit_code_ < 0 ? Json(nullptr) : Json(exit_code_);
  status["error"] = error_.empty() ? Json(nullptr) : Json(error_);
  status["restarts"] = restarts_;
  status["world_size"] = world_size_;
  status["host"] = HostName();
  status["pid"] = ::getpid();
  status["started"] = started_;
  status["updated"] = Now();
  return WriteFileAtomically(files_, JoinPath(path_, kStatusName), exports::IndentedJson(status));
}

absl::Status RunFolder::SetPhase(const std::string& phase) {
  phase_ = phase;
  return WriteStatus();
}

absl::Status RunFolder::SetEnd(const absl::Status& status, int64_t step) {
  step_ = step;
  const ExitCode code = ExitCodeOf(status);
  phase_ = code == ExitCode::kOk            ? "done"
           : code == ExitCode::kInterrupted ? "interrupted"
                                            : "failed";
  exit_code_ = static_cast<int>(code);
  error_ = RedactUris(std::string(status.message()));
  return WriteStatus();
}

absl::Status RecordFailure(FileSystem& files, const std::string& path,
                           const absl::Status& failure) {
  const std::string status_path = JoinPath(path, kStatusName);
  Json status = ReadObject(files, status_path);
  if (!status.is_object() || !status.contains("exit_code") || !status["exit_code"].is_null()) {
    return absl::OkStatus();
  }
  status["phase"] = "failed";
  status["exit_code"] = static_cast<int>(ExitCodeOf(failure));
  status["error"] = RedactUris(std::string(failure.message()));
  status["updated"] = Now();
  return WriteFileAtomically(files, status_path, exports::IndentedJson(status));
}

}  // namespace torii::launch
