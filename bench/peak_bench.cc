// The limits of this machine, one JSON line for 1 and one for n threads; rates are per second.
//   peak_bench [threads = all usable cores] [table MB = 256]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "bench/machine_limits.h"

int main(int argc, char** argv) {
  const int all = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const int threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : all;
  const int64_t table_bytes = (argc > 2 ? std::max(1LL, std::atoll(argv[2])) : 256) << 20;
  for (int t = 1; t <= threads; t = t < threads ? threads : threads + 1) {
    const auto limits = torii::bench::MeasureMachineLimits(t, table_bytes);
    std::printf("%s\n", torii::bench::ToJson(limits).c_str());
  }
  return 0;
}
