// The collective calls of one rank of an in-process group, of tensors and of its control plane
// alike: they share one meeting and one sequence, so that a rank that calls the one while its peers
// call the other gets an error at once.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "comm/in_process/meeting.h"

namespace torii::comm {

class RankCalls {
 public:
  RankCalls(std::shared_ptr<Meeting> meeting, int rank);
  // The rank calls no more.
  ~RankCalls();
  RankCalls(const RankCalls&) = delete;
  RankCalls& operator=(const RankCalls&) = delete;

  int rank() const { return rank_; }
  int world_size() const { return meeting_->world_size(); }
  int64_t NextSequence() { return sequence_++; }

  // Meets the peers with the offer and, if all made the same call, copies between Meet and Part.
  absl::Status Exchange(const Offer& offer,
                        absl::FunctionRef<void(std::span<const Offer> offers)> copy);
  void Abort(const absl::Status& reason) { meeting_->Break(rank_, reason); }

 private:
  const std::shared_ptr<Meeting> meeting_;
  const int rank_;
  int64_t sequence_ = 0;
};

}  // namespace torii::comm
