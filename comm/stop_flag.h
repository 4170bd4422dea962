// A rank's wish to stop. It reaches the other ranks without an exchange of its own: every call of a
// ControlPlane carries it.
#pragma once

#include <atomic>

namespace torii::comm {

class StopFlag {
 public:
  // From now on this rank asks for a stop once *asked is true (a signal handler may set it). Null:
  // it does not ask. `asked` must live until the next Watch or the end of this flag.
  void Watch(const std::atomic<bool>* asked) { watched_ = asked; }

  // Whether any rank had asked by the last call of the control plane. Ranks that have made the same
  // calls get the same answer. Only the thread that makes the calls may read it.
  bool agreed() const { return agreed_; }

  // For back ends: asked() is what this rank sends with its next call; Hear takes what the call
  // brought. A wish that was heard once is never taken back.
  bool asked() const { return watched_ != nullptr && watched_->load(std::memory_order_relaxed); }
  void Hear(bool any_rank_asked) { agreed_ = agreed_ || any_rank_asked; }

 private:
  const std::atomic<bool>* watched_ = nullptr;
  bool agreed_ = false;
};

}  // namespace torii::comm
