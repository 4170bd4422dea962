#include "trainer/checkpoint/agree_on_run.h"

#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/exit_code.h"
#include "base/field_changes.h"
#include "base/status_macros.h"

namespace torii::trainer {
namespace {

constexpr char kRemedy[] = "; start every rank with the same program and the same command line";

absl::Status CompareConfig(const std::string& first, const google::protobuf::Message& mine,
                           int rank) {
  const std::unique_ptr<google::protobuf::Message> theirs(mine.New());
  if (!theirs->ParseFromString(first)) {
    return ConfigError(
        absl::StrCat("the configuration of rank 0 cannot be read by rank ", rank, kRemedy));
  }
  std::vector<std::string> lines;
  for (const FieldChange& change : CompareFields(*theirs, mine)) {
    if (change.effect == LOCAL) continue;
    lines.push_back(absl::StrCat(change.field, " is ", change.before, " on rank 0 and ",
                                 change.after, " on rank ", rank));
  }
  if (lines.empty()) return absl::OkStatus();
  return ConfigError(absl::StrCat("the ranks were started with different configurations: ",
                                  absl::StrJoin(lines, ", "), kRemedy));
}

}  // namespace

absl::Status AgreeOnText(comm::Communicator& comm, const std::string& what,
                         const std::string& mine) {
  TORII_ASSIGN_OR_RETURN(const std::string first, comm::BroadcastText(comm.control(), mine, 0));
  absl::Status same;
  if (first != mine) {
    same = ConfigError(absl::StrCat(what, " differs over the ranks: '", first, "' on rank 0 and '",
                                    mine, "' on rank ", comm.rank(), kRemedy));
  }
  return comm::AgreeOnStatus(comm.control(), same);
}

absl::Status AgreeOnConfig(comm::Communicator& comm, const google::protobuf::Message& mine) {
  TORII_ASSIGN_OR_RETURN(const std::string first,
                         comm::BroadcastText(comm.control(), mine.SerializeAsString(), 0));
  return comm::AgreeOnStatus(comm.control(), CompareConfig(first, mine, comm.rank()));
}

}  // namespace torii::trainer
