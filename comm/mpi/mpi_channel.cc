#include "comm/mpi/mpi_channel.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "comm/mpi/mpi_communicator.h"
#include "comm/mpi/mpi_status.h"

namespace torii::comm {

absl::StatusOr<std::unique_ptr<MpiChannel>> MpiChannel::Create(MPI_Comm parent, MpiOptions options,
                                                               Failure failure) {
  MPI_Comm comm = MPI_COMM_NULL;
  TORII_MPI_RETURN_IF_ERROR(MPI_Comm_dup(parent, &comm));
  std::unique_ptr<MpiChannel> created(new MpiChannel(comm, options, std::move(failure)));
  TORII_MPI_RETURN_IF_ERROR(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN));
  TORII_MPI_RETURN_IF_ERROR(MPI_Comm_rank(comm, &created->rank_));
  TORII_MPI_RETURN_IF_ERROR(MPI_Comm_size(comm, &created->world_size_));
  return created;
}

MpiChannel::MpiChannel(MPI_Comm comm, MpiOptions options, Failure failure)
    : comm_(comm), options_(options), failure_(std::move(failure)) {}

MpiChannel::~MpiChannel() {
  if (failure_->ok() && !AbortIsUnderWay()) {
    MPI_Comm comm = comm_;
    TORII_MPI_STATUS(MPI_Comm_free(&comm)).IgnoreError();
  }
}

absl::Status MpiChannel::Start(const Call& call) {
  TORII_RETURN_IF_ERROR(*failure_);
  call_ = call;
  call_ends_ = std::chrono::steady_clock::now() + options_.deadline;
  return absl::OkStatus();
}

absl::Status MpiChannel::Run(std::unique_ptr<PendingCall>& call, Post post) {
  absl::Status status = post(*call);
  if (status.ok()) {
    status = WaitForAll(call, call_ends_);
  } else {
    KeepForEver(std::move(call));
  }
  if (absl::IsDeadlineExceeded(status)) {
    *failure_ = PeerLostError(absl::StrCat("rank ", rank_, " waited ", options_.deadline.count(),
                                           " ms in ", ToText(call_), " for its peers"));
  } else if (!status.ok()) {
    *failure_ = Annotate(status, ToText(call_));
  }
  return *failure_;
}

absl::Status MpiChannel::Run(std::vector<at::Tensor> tensors, Post post) {
  auto call = std::make_unique<PendingCall>();
  call->tensors = std::move(tensors);
  return Run(call, post);
}

int64_t MpiChannel::ChunkElements(int64_t item_bytes) const {
  return std::clamp<int64_t>(options_.chunk_bytes / item_bytes, 1, std::numeric_limits<int>::max());
}

int MpiChannel::Tag() const {
  constexpr int64_t kTags = 32767;  // what every MPI library has at least
  return static_cast<int>(call_.sequence % kTags);
}

}  // namespace torii::comm
