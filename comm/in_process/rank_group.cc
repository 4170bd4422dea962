#include "comm/in_process/rank_group.h"

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>

#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/exit_code.h"
#include "base/log.h"
#include "comm/in_process/in_process_communicator.h"
#include "comm/in_process/meeting.h"

namespace torii::comm {
namespace {

using Body = std::function<absl::Status(Communicator&)>;

absl::Status CallBody(const Body& body, Communicator& comm) {
  try {
    return body(comm);
  } catch (const c10::Error& error) {
    return InternalError(absl::StrCat("exception: ", error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return InternalError(absl::StrCat("exception: ", error.what()));
  } catch (...) {
    return InternalError("exception of unknown type");
  }
}

// The errors of a group of rank threads, and which came first.
class Failures {
 public:
  explicit Failures(int world_size) : status_(static_cast<size_t>(world_size)) {}

  void Add(int rank, const absl::Status& status) {
    const std::lock_guard lock(mutex_);
    status_[static_cast<size_t>(rank)] = status;
    if (first_.ok()) {
      first_ = status;
    }
  }

  // A rank that called Abort itself comes before those that merely heard of it. After all threads
  // ended.
  absl::Status Origin(int breaking_rank) const {
    if (breaking_rank >= 0 && !status_[static_cast<size_t>(breaking_rank)].ok()) {
      return status_[static_cast<size_t>(breaking_rank)];
    }
    return first_;
  }

 private:
  std::mutex mutex_;
  std::vector<absl::Status> status_;  // [W]
  absl::Status first_;
};

void RunRank(std::unique_ptr<Communicator> comm, const Body& body, Failures& failures) {
  const int rank = comm->rank();
  SetLogRank(rank);
  if (const absl::Status status = CallBody(body, *comm); !status.ok()) {
    failures.Add(rank, status);
    comm->Abort(status);
  }
}

std::shared_ptr<GroupState> MakeGroup(int world_size, const RankGroupOptions& options) {
  TORII_CHECK(world_size >= 1, "a group has at least one rank, not ", world_size);
  return std::make_shared<GroupState>(world_size, options);
}

}  // namespace

std::vector<std::unique_ptr<Communicator>> CreateInProcessGroup(int world_size,
                                                                RankGroupOptions options) {
  const auto meeting = std::make_shared<Meeting>(MakeGroup(world_size, options));
  std::vector<std::unique_ptr<Communicator>> ranks;
  for (int rank = 0; rank < world_size; ++rank) {
    ranks.push_back(std::make_unique<InProcessCommunicator>(meeting, rank));
  }
  return ranks;
}

absl::Status RunRanks(int world_size, const Body& body, RankGroupOptions options) {
  const std::shared_ptr<GroupState> group = MakeGroup(world_size, options);
  const auto meeting = std::make_shared<Meeting>(group);
  Failures failures(world_size);
  const int log_rank = LogRank();
  // The first call settles this thread's own number; the second one sets it, and that of threads to
  // come.
  const int num_threads = at::get_num_threads();
  if (world_size > 1) {
    at::set_num_threads(1);
  }
  const auto run = [&](int rank) {
    RunRank(std::make_unique<InProcessCommunicator>(meeting, rank), body, failures);
  };
  std::vector<std::thread> threads;
  try {
    for (int rank = 1; rank < world_size; ++rank) {
      threads.emplace_back(run, rank);
    }
    run(0);
  } catch (const std::system_error& error) {
    const absl::Status status = InternalError(
        absl::StrCat("cannot start a thread for each of ", world_size, " ranks: ", error.what()));
    failures.Add(0, status);
    meeting->Break(0, status);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  if (world_size > 1) {
    at::set_num_threads(num_threads);
  }
  SetLogRank(log_rank);
  return failures.Origin(group->breaking_rank);
}

}  // namespace torii::comm
