// torii: the command-line program.
#include <stdlib.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "launch/command/program.h"
#include "launch/process/allocator.h"

namespace {

// Between parallel loops OpenMP's threads wait by spinning, for milliseconds if nobody says
// otherwise. Where another program wants the cores too, that spinning is what keeps the loop's
// other threads from running (measured: 3 times slower), and a tenth of a millisecond is as good
// where nobody does. OpenMP reads the limit when it is loaded, before main: so the program starts
// itself once more with it. A value from outside is left alone.
void LimitSpinning(char** argv) {
  if (getenv("GOMP_SPINCOUNT") != nullptr || getenv("OMP_WAIT_POLICY") != nullptr) return;
  if (setenv("GOMP_SPINCOUNT", "10000", /*overwrite=*/0) != 0) return;
  execv("/proc/self/exe", argv);
  // Not possible here: go on as it is.
}

}  // namespace

int main(int argc, char** argv) {
  LimitSpinning(argv);
  torii::launch::KeepFreedMemory();
  return torii::launch::RunProgram(std::vector<std::string>(argv + 1, argv + argc));
}
