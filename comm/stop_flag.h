// The wish of a rank to stop, which reaches the others without an exchange of its own: it travels
// with every call of a ControlPlane.
#pragma once

#include <atomic>

namespace torii::comm {

class StopFlag {
 public:
  // From now on this rank asks for a stop once *asked is true (a signal handler may set it). Null:
  // it does not ask. `asked` outlives this flag or the next Watch.
  void Watch(const std::atomic<bool>* asked) { watched_ = asked; }

  // Whether a rank had asked when the last call of the control plane was made. Ranks that have made
  // the same calls see the same answer. To be read by the thread that makes the calls.
  bool agreed() const { return agreed_; }

  // For back ends: what this rank says with its next call, and what the call brought. Once there
  // was a wish to stop it stays.
  bool asked() const { return watched_ != nullptr && watched_->load(std::memory_order_relaxed); }
  void Hear(bool any_rank_asked) { agreed_ = agreed_ || any_rank_asked; }

 private:
  const std::atomic<bool>* watched_ = nullptr;
  bool agreed_ = false;
};

}  // namespace torii::comm
