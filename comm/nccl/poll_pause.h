// The pause between two looks at something that another processor finishes.
#pragma once

#include <chrono>
#include <thread>

namespace torii::comm {

// Short waits end within the first looks; after them other threads of this core get their turn, and
// long waits sleep between looks.
class PollPause {
 public:
  void operator()() {
    ++looks_;
    if (looks_ > kYields) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    } else if (looks_ > kSpins) {
      std::this_thread::yield();
    }
  }

 private:
  static constexpr int kSpins = 100;
  static constexpr int kYields = 10'000;
  int looks_ = 0;
};

}  // namespace torii::comm
