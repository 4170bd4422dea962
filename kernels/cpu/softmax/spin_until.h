// Waits for something that another running thread is doing just now.
#pragma once

#include <thread>

namespace torii::kernels::cpu {

// Leaves the core's resources to the thread that is waited for.
inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

template <class Ready>
void SpinUntil(const Ready& ready) {
  constexpr int kSpins = 1000;
  for (int spins = 0; !ready(); ++spins) {
    if (spins >= kSpins) {
      std::this_thread::yield();
    } else {
      Pause();
    }
  }
}

}  // namespace torii::kernels::cpu
