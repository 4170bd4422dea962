// main() of the single-process test executables: one intra-op thread, so that ranks as threads do
// not oversubscribe and sums do not depend on the machine.
#include <cstdlib>
#include <filesystem>
#include <string>

#include "ATen/Parallel.h"
#include "base/log.h"
#include "gtest/gtest.h"

namespace {

// A folder of this process alone for ::testing::TempDir(), so that test programs that run beside
// each other, or were killed before, share no file. Death tests use the folder of their parent.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    if (std::getenv("TEST_TMPDIR") != nullptr) return;
    std::string path = "/tmp/torii-test-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) return;
    ::setenv("TEST_TMPDIR", path.c_str(), 1);
    path_ = path;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

 private:
  std::string path_;
};

}  // namespace

int main(int argc, char** argv) {
  const TemporaryFolder temporary;
  ::testing::InitGoogleTest(&argc, argv);
  torii::SetLogLevel(torii::LogLevel::kWarning);
  (void)at::get_num_threads();
  at::set_num_threads(1);
  return RUN_ALL_TESTS();
}
