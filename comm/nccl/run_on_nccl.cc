#include "comm/nccl/run_on_nccl.h"

#include <utility>

#include "base/exit_code.h"
#include "base/status_macros.h"
#include "comm/nccl/nccl_communicator.h"
#include "comm/peer_status.h"

namespace torii::comm {
namespace {

// Ends the world unless the body returned OK.
class EndUnlessOk {
 public:
  EndUnlessOk(NcclWorld& world, int rank) : world_(world), rank_(rank) {}
  ~EndUnlessOk() {
    if (!status_.ok()) world_.End(FromPeer(rank_, status_)).IgnoreError();
  }
  EndUnlessOk(const EndUnlessOk&) = delete;
  EndUnlessOk& operator=(const EndUnlessOk&) = delete;
  absl::Status Returns(const absl::Status& status) { return status_ = status; }

 private:
  NcclWorld& world_;
  const int rank_;
  absl::Status status_ = InternalError("an exception");
};

}  // namespace

absl::Status RunOnNccl(Communicator& host, const std::shared_ptr<NcclWorld>& world,
                       std::shared_ptr<DeviceStreams> streams,
                       const std::function<absl::Status(Communicator&)>& body) {
  TORII_ASSIGN_OR_RETURN(const std::unique_ptr<Communicator> comm,
                         CreateNccl(host, world, std::move(streams)));
  // Made after the communicator: the world ends before the communicator waits for its peers to
  // leave.
  EndUnlessOk end(*world, host.rank());
  return end.Returns(body(*comm));
}

}  // namespace torii::comm
