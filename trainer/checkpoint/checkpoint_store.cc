#include "trainer/checkpoint/checkpoint_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/exit_code.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "trainer/checkpoint/message_state.h"
#include "trainer/checkpoint/remove_checkpoint.h"

namespace torii::trainer {
namespace {

constexpr char kStepPrefix[] = "step-";
constexpr char kOldPrefix[] = "checkpoints.old-";

// The number after `prefix`, or nullopt if `name` is anything else.
std::optional<int64_t> NumberAfter(const std::string& prefix, const std::string& name) {
  int64_t number = 0;
  if (!absl::StartsWith(name, prefix) || !absl::SimpleAtoi(name.substr(prefix.size()), &number)) {
    return std::nullopt;
  }
  return number;
}

// The numbers after `prefix` among the names in `directory`, ascending; none if it is not there.
absl::StatusOr<std::vector<int64_t>> NumbersIn(FileSystem& files, const std::string& directory,
                                               const std::string& prefix) {
  std::vector<int64_t> numbers;
  TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(directory));
  if (!info.exists) return numbers;
  TORII_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.List(directory));
  for (const std::string& name : names) {
    const std::optional<int64_t> number = NumberAfter(prefix, name);
    if (number.has_value()) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

// Its content is not what was written; anything else may be otherwise tomorrow, or elsewhere.
bool IsDamage(const absl::Status& status) {
  return ExitCodeOf(status) == ExitCode::kData || ExitCodeOf(status) == ExitCode::kNoInput;
}

// The failure `status` with another message.
absl::Status WithMessage(const absl::Status& status, const std::string& message) {
  absl::Status out(status.code(), message);
  status.ForEachPayload(
      [&out](absl::string_view url, const absl::Cord& payload) { out.SetPayload(url, payload); });
  return out;
}

std::string Reason(const std::string& path, const absl::Status& status) {
  return absl::StrContains(status.message(), path)
             ? std::string(status.message())
             : absl::StrCat(path, ": ", std::string(status.message()));
}

template <typename State>
absl::StatusOr<State> StateOf(const CheckpointInfo& info, const std::string& name) {
  const auto found = info.messages.find(name);
  if (found == info.messages.end()) {
    return DataError(absl::StrCat(info.path, ": has no state '", name, "'"));
  }
  State state;
  TORII_RETURN_IF_ERROR(Annotate(ParseMessageState(name, found->second, &state), info.path));
  return state;
}

// The good one of two: by its own evaluation, then by its step.
bool IsBetter(const CheckpointInfo& a, const CheckpointInfo& b) {
  const auto value = [](const CheckpointInfo& info) -> std::optional<double> {
    const auto state = EarlyStoppingOf(info);
    if (!state.ok() || state->best_step() != info.step) return std::nullopt;
    return state->best_value();
  };
  return std::make_pair(value(a), a.step) > std::make_pair(value(b), b.step);
}

// The checkpoints of `directory` whose content is good, newest first; the others are skipped with a
// warning.
absl::StatusOr<std::vector<CheckpointInfo>> GoodOnes(FileSystem& files,
                                                     const std::string& directory) {
  TORII_ASSIGN_OR_RETURN(std::vector<int64_t> steps, CheckpointSteps(files, directory));
  std::vector<CheckpointInfo> good;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const std::string path = CheckpointPath(directory, *step);
    const auto info = ReadCheckpointInfo(files, path, /*verify_content=*/true);
    if (info.ok()) {
      good.push_back(*info);
    } else {
      TORII_WARNING("skipping ", Reason(path, info.status()));
    }
  }
  return good;
}

// The step of the best evaluation by the word of the newest manifest that can be read; -1: none.
absl::StatusOr<int64_t> RecordedBest(FileSystem& files, const std::string& directory) {
  TORII_ASSIGN_OR_RETURN(std::vector<int64_t> steps, CheckpointSteps(files, directory));
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const auto info =
        ReadCheckpointInfo(files, CheckpointPath(directory, *step), /*verify_content=*/false);
    if (!info.ok()) continue;
    const auto state = EarlyStoppingOf(*info);
    if (state.ok()) return state->best_step();
  }
  return -1;
}

}  // namespace

absl::StatusOr<EarlyStoppingState> EarlyStoppingOf(const CheckpointInfo& info) {
  return StateOf<EarlyStoppingState>(info, "early_stopping");
}

absl::StatusOr<RunPosition> PositionOf(const CheckpointInfo& info) {
  return StateOf<RunPosition>(info, "position");
}

absl::StatusOr<std::vector<int64_t>> CheckpointSteps(FileSystem& files,
                                                     const std::string& directory) {
  return NumbersIn(files, directory, kStepPrefix);
}

absl::StatusOr<std::optional<CheckpointInfo>> NewestCheckpoint(FileSystem& files,
                                                               const std::string& directory) {
  TORII_ASSIGN_OR_RETURN(std::vector<int64_t> steps, CheckpointSteps(files, directory));
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const std::string path = CheckpointPath(directory, *step);
    auto info = ReadCheckpointInfo(files, path, /*verify_content=*/true);
    if (info.ok()) return *std::move(info);
    TORII_WARNING("skipping ", Reason(path, info.status()));
  }
  return std::nullopt;
}

absl::StatusOr<std::optional<CheckpointInfo>> BestCheckpoint(FileSystem& files,
                                                             const std::string& directory) {
  TORII_ASSIGN_OR_RETURN(const int64_t step, RecordedBest(files, directory));
  if (step < 0) return NewestCheckpoint(files, directory);
  const std::string path = CheckpointPath(directory, step);
  auto best = ReadCheckpointInfo(files, path, /*verify_content=*/true);
  if (best.ok()) return *std::move(best);
  TORII_WARNING("the best checkpoint cannot be used: ", Reason(path, best.status()));
  TORII_ASSIGN_OR_RETURN(const std::vector<CheckpointInfo> good, GoodOnes(files, directory));
  if (good.empty()) return std::nullopt;
  const CheckpointInfo& next = *std::max_element(
      good.begin(), good.end(),
      [](const CheckpointInfo& a, const CheckpointInfo& b) { return IsBetter(b, a); });
  TORII_WARNING("using ", next.path, " in the place of the best checkpoint");
  return next;
}

CheckpointStore::CheckpointStore(FileSystem& files, const std::string& run_dir, int keep,
                                 MayWrite may_write)
    : files_(files),
      run_dir_(run_dir),
      directory_(JoinPath(run_dir, kCheckpointsName)),
      keep_(static_cast<size_t>(std::max(keep, 1))),
      may_write_(std::move(may_write)) {}

absl::StatusOr<std::string> CheckpointStore::Open(comm::Communicator& comm) {
  // Rank 0 looks and tells the others, so that all agree on a shared disk that lags.
  const absl::StatusOr<std::string> found =
      comm.rank() == 0 ? Examine() : absl::StatusOr<std::string>(std::string());
  TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(comm.control(), found.status()));
  TORII_ASSIGN_OR_RETURN(std::string path, comm::BroadcastText(comm.control(), *found, 0));
  if (!path.empty()) {
    saved_step_ = NumberAfter(kStepPrefix, BaseName(path)).value_or(-1);
  }
  return path;
}

absl::StatusOr<std::string> CheckpointStore::Examine() {
  TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> steps, CheckpointSteps(files_, directory_));
  std::vector<std::string> reasons;
  absl::Status worst;  // what cannot be judged before what is damaged
  for (const int64_t step : steps) {
    const std::string path = CheckpointPath(directory_, step);
    const auto info = ReadCheckpointInfo(files_, path, /*verify_content=*/true);
    if (info.ok()) {
      good_.insert(step);
      continue;
    }
    reasons.push_back(Reason(path, info.status()));
    if (worst.ok() || IsDamage(worst)) worst = info.status();
  }
  if (!worst.ok() && (good_.empty() || !IsDamage(worst))) {
    return WithMessage(
        worst,
        absl::StrCat("checkpoints of this run cannot be used, and a run does not begin again "
                     "in silence: ",
                     absl::StrJoin(reasons, "; "),
                     ". Mend or move them, use another run_dir, or start afresh with "
                     "--resume never, which moves all of them aside"));
  }
  for (const std::string& reason : reasons) TORII_WARNING("skipping ", reason);
  TORII_RETURN_IF_ERROR(RemovePartials(files_, directory_));
  return good_.empty() ? std::string() : CheckpointPath(directory_, *good_.rbegin());
}

absl::Status CheckpointStore::MoveAside(comm::Communicator& comm) {
  return comm::AgreeOnStatus(comm.control(), comm.rank() == 0 ? MoveAsideHere() : absl::OkStatus());
}

absl::Status CheckpointStore::MoveAsideHere() const {
  TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> steps, CheckpointSteps(files_, directory_));
  if (steps.empty()) return RemoveCheckpoints(files_, directory_);  // what a kill left half-written
  TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> old, NumbersIn(files_, run_dir_, kOldPrefix));
  const auto path = [this](int64_t number) {
    return JoinPath(run_dir_, absl::StrCat(kOldPrefix, number));
  };
  const std::string aside = path(old.empty() ? 1 : old.back() + 1);
  TORII_RETURN_IF_ERROR(files_.Rename(directory_, aside));
  TORII_INFO("the checkpoints of the run folder are now in ", aside);
  for (const int64_t number : old) TORII_RETURN_IF_ERROR(RemoveCheckpoints(files_, path(number)));
  return absl::OkStatus();
}

absl::Status CheckpointStore::Save(comm::Communicator& comm, const StateRegistry& state,
                                   const CheckpointInfo& identity, int64_t best_step) {
  if (saved_step_ == identity.step) return absl::OkStatus();
  TORII_RETURN_IF_ERROR(
      SaveCheckpoint(files_, comm, directory_, state, identity, may_write_).status());
  saved_step_ = identity.step;
  if (comm.rank() == 0) {
    good_.insert(identity.step);
    Prune(best_step);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> CheckpointStore::Best(comm::Communicator& comm) const {
  absl::StatusOr<std::string> path = std::string();
  if (comm.rank() == 0) {
    const auto best = BestCheckpoint(files_, directory_);
    if (!best.ok()) {
      path = best.status();
    } else if (!best->has_value()) {
      path = NoInputError(absl::StrCat(directory_, ": there is no good checkpoint any more"));
    } else {
      path = (*best)->path;
    }
  }
  TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(comm.control(), path.status()));
  return comm::BroadcastText(comm.control(), *path, 0);
}

void CheckpointStore::Prune(int64_t best_step) {
  const std::vector<int64_t> steps(good_.begin(), good_.end());
  for (size_t i = 0; i + keep_ < steps.size(); ++i) {
    if (steps[i] == best_step) continue;
    const absl::Status removed = RemoveCheckpoint(files_, CheckpointPath(directory_, steps[i]));
    // Half-removed or not, it is no longer one of ours.
    good_.erase(steps[i]);
    if (!removed.ok()) {
      TORII_WARNING("an old checkpoint could not be removed: ", std::string(removed.message()));
    }
  }
}

}  // namespace torii::trainer
