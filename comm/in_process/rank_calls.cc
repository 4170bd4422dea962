#include "comm/in_process/rank_calls.h"

#include <utility>

#include "absl/container/inlined_vector.h"
#include "base/status_macros.h"

namespace torii::comm {

RankCalls::RankCalls(std::shared_ptr<Meeting> meeting, int rank)
    : meeting_(std::move(meeting)), rank_(rank) {}

RankCalls::~RankCalls() { meeting_->Leave(rank_); }

absl::Status RankCalls::Exchange(const Offer& offer,
                                 absl::FunctionRef<void(std::span<const Offer> offers)> copy) {
  TORII_RETURN_IF_ERROR(meeting_->Meet(rank_, offer));
  // Peers wait for this rank's Part, also when the copying throws.
  const std::unique_ptr<Meeting, void (*)(Meeting*)> part(
      meeting_.get(), [](Meeting* meeting) { meeting->Part(); });
  const std::span<const Offer> offers = meeting_->offers();
  absl::InlinedVector<const Call*, 16> calls;
  for (const Offer& peer : offers) {
    calls.push_back(peer.call);
  }
  TORII_RETURN_IF_ERROR(CheckSameCall(calls));
  copy(offers);
  return absl::OkStatus();
}

}  // namespace torii::comm
