// main() of the test executables that run under mpirun. All ranks run all tests; only rank 0 prints
// the progress, every rank prints its failures, and all end with the worst return code.
#include <cstdio>
#include <memory>

#include "ATen/Parallel.h"
#include "base/check.h"
#include "base/log.h"
#include "gtest/gtest.h"
#include "tests/support/mpi_world.h"

namespace torii::testing {
namespace {

comm::Communicator* world = nullptr;
comm::MpiEnvironment* environment = nullptr;

// What ranks above 0 print instead of the usual report.
class FailurePrinter final : public ::testing::EmptyTestEventListener {
 public:
  explicit FailurePrinter(int rank) : rank_(rank) {}

  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (result.failed()) {
      std::fprintf(stderr, "rank %d: %s:%d: %s\n", rank_,
                   result.file_name() == nullptr ? "?" : result.file_name(), result.line_number(),
                   result.message());
    }
  }

 private:
  const int rank_;
};

int RunAllTests() {
  const absl::StatusOr<std::unique_ptr<comm::MpiEnvironment>> mpi = comm::MpiEnvironment::Create();
  TORII_CHECK(mpi.ok(), mpi.status().ToString());
  environment = mpi->get();
  const int rank = environment->rank();
  SetLogRank(rank);
  absl::StatusOr<std::unique_ptr<comm::Communicator>> all =
      environment->World(std::chrono::minutes(2));
  TORII_CHECK(all.ok(), all.status().ToString());
  world = all->get();
  if (rank > 0) {
    ::testing::TestEventListeners& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailurePrinter(rank));
  }
  const int mine = RUN_ALL_TESTS();
  const absl::StatusOr<int64_t> worst =
      comm::AllReduceValue(world->control(), static_cast<int64_t>(mine), comm::ReduceOp::kMax);
  if (!worst.ok()) {
    world->Abort(worst.status());
  }
  return static_cast<int>(*worst);
}

}  // namespace

comm::Communicator& World() { return *world; }
comm::MpiEnvironment& Environment() { return *environment; }

}  // namespace torii::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  (void)at::get_num_threads();
  at::set_num_threads(1);
  return torii::testing::RunAllTests();
}
