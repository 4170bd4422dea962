// main() of the single-process test executables: one intra-op thread, so that ranks as threads do
// not oversubscribe and sums do not depend on the machine.
#include "ATen/Parallel.h"
#include "base/log.h"
#include "gtest/gtest.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  torii::SetLogLevel(torii::LogLevel::kWarning);
  (void)at::get_num_threads();
  at::set_num_threads(1);
  return RUN_ALL_TESTS();
}
