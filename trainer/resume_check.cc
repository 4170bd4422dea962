#include "trainer/resume_check.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/exit_code.h"
#include "base/log.h"

namespace torii::trainer {
namespace {

// Whether the learning rate of a step depends on how many steps there are.
bool DependsOnLength(const Schedule& schedule) {
  return schedule.kind() == Schedule::LINEAR || schedule.kind() == Schedule::COSINE;
}

absl::Status Refuse(const TrainRun& run, const std::string& what) {
  if (run.resume == Resume::kAcceptConfig) {
    TORII_WARNING("--resume accept-config: ", what);
    return absl::OkStatus();
  }
  return ConfigError(absl::StrCat(what,
                                  "; use another run_dir, go on all the same with --resume "
                                  "accept-config, or start afresh with --resume never"));
}

}  // namespace

absl::Status CheckSameRun(const CheckpointInfo& checkpoint, const TrainRun& run,
                          const std::string& data_digest) {
  std::vector<FieldChange> changes;
  if (run.changes_since) {
    absl::StatusOr<std::vector<FieldChange>> found = run.changes_since(checkpoint.config);
    if (!found.ok()) {
      return Refuse(run, absl::StrCat("the configuration of ", checkpoint.path,
                                      " cannot be compared with this one: ",
                                      std::string(found.status().message())));
    }
    changes = *std::move(found);
  }
  if (checkpoint.data_digest != data_digest) {
    changes.push_back({"the prepared data (digest)", checkpoint.data_digest, data_digest, MEANING});
  }
  std::vector<std::string> meaning, harmless;
  for (const FieldChange& change : changes) {
    const bool fixed = change.effect == MEANING ||
                       (change.effect == LENGTH && DependsOnLength(run.train.schedule()));
    (fixed ? meaning : harmless).push_back(ToText(change));
  }
  if (!harmless.empty()) {
    TORII_INFO("changed since ", checkpoint.path, ": ", absl::StrJoin(harmless, ", "));
  }
  if (meaning.empty()) return absl::OkStatus();
  return Refuse(run, absl::StrCat(checkpoint.path, " was made by another configuration: ",
                                  absl::StrJoin(meaning, ", ")));
}

}  // namespace torii::trainer
