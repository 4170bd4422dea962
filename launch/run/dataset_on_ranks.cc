#include "launch/run/dataset_on_ranks.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "launch/process/runtime.h"

namespace torii::launch {
namespace {

constexpr std::chrono::milliseconds kFirstWait{5};
constexpr std::chrono::milliseconds kLongestWait{250};

}  // namespace

absl::Status OnRankZero(comm::Communicator& comm, const std::function<absl::Status()>& work) {
  if (comm.world_size() == 1) return work();
  std::future<absl::Status> result;
  if (comm.rank() == 0) {
    result = std::async(std::launch::async, [&work] { return CatchExceptions(work); });
  }
  // All ranks rest between the questions: one that polls would take the core that rank 0 works on.
  for (auto wait = kFirstWait;; wait = std::min(2 * wait, kLongestWait)) {
    bool done = false;
    if (comm.rank() == 0) {
      done = result.wait_for(wait) == std::future_status::ready;
    } else {
      std::this_thread::sleep_for(wait);
    }
    TORII_ASSIGN_OR_RETURN(
        const int64_t all_done,
        comm::AllReduceValue(comm.control(), int64_t{done ? 1 : 0}, comm::ReduceOp::kMax));
    if (all_done != 0) break;
  }
  return comm::AgreeOnStatus(comm.control(), comm.rank() == 0 ? result.get() : absl::OkStatus());
}

absl::StatusOr<std::string> PrepareOnce(FileSystem& files, comm::Communicator& comm,
                                        const data::DataConfig& config,
                                        const data::PrepareOptions& options) {
  std::string folder;  // of rank 0
  TORII_RETURN_IF_ERROR(OnRankZero(comm, [&]() -> absl::Status {
    TORII_ASSIGN_OR_RETURN(data::PrepareResult result, data::Prepare(files, config, options));
    folder = std::move(result.folder);
    return absl::OkStatus();
  }));
  return comm::BroadcastText(comm.control(), folder, 0);
}

absl::Status CheckWorldSize(int world_size, int64_t items) {
  if (world_size <= items) return absl::OkStatus();
  return ConfigError(absl::StrCat(
      world_size, " ranks, but only ", items, items == 1 ? " item" : " items",
      ": every rank must own an item; run at most ", items, items == 1 ? " rank" : " ranks"));
}

absl::StatusOr<std::unique_ptr<data::Dataset>> OpenDataset(FileSystem& files,
                                                           comm::Communicator& comm,
                                                           const std::string& folder) {
  absl::StatusOr<std::unique_ptr<data::Dataset>> dataset = data::Dataset::Open(files, folder);
  TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(comm.control(), dataset.status()));
  const std::string& digest = (*dataset)->digest();
  TORII_ASSIGN_OR_RETURN(
      const std::vector<int64_t> digests,
      comm::AllGatherValue(comm.control(), static_cast<int64_t>(StableHash(digest, 0))));
  for (size_t rank = 1; rank < digests.size(); ++rank) {
    if (digests[rank] == digests[0]) continue;
    return DataError(absl::StrCat(folder, ": rank ", rank, " sees other content than rank 0",
                                  " (on rank ", comm.rank(), " its digest is ", digest,
                                  "); put the prepared folder on a disk that all nodes share"));
  }
  TORII_RETURN_IF_ERROR(CheckWorldSize(comm.world_size(), (*dataset)->items().rows()));
  return dataset;
}

}  // namespace torii::launch
