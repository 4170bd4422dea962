#include "comm/checked_communicator.h"

#include <ATen/ATen.h>

#include <mutex>

#include "base/exit_code.h"
#include "comm/in_process/rank_group.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/comm/conformance.h"
#include "tests/comm/mismatch.h"

namespace torii::comm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Passes everything on to a communicator that somebody else owns.
class Borrowed final : public Communicator {
 public:
  explicit Borrowed(Communicator& inner) : inner_(inner) {}
  int rank() const override { return inner_.rank(); }
  int world_size() const override { return inner_.world_size(); }
  absl::Status AllReduce(at::Tensor& tensor, ReduceOp op) override {
    ++calls;
    return inner_.AllReduce(tensor, op);
  }
  absl::StatusOr<at::Tensor> AllGatherV(const at::Tensor& in,
                                        std::span<const int64_t> rows) override {
    return inner_.AllGatherV(in, rows);
  }
  absl::StatusOr<at::Tensor> ReduceScatterV(const at::Tensor& in,
                                            std::span<const int64_t> rows) override {
    return inner_.ReduceScatterV(in, rows);
  }
  absl::Status Broadcast(at::Tensor& tensor, int root) override {
    return inner_.Broadcast(tensor, root);
  }
  absl::StatusOr<at::Tensor> AllToAllV(const at::Tensor& in, std::span<const int64_t> send_rows,
                                       std::span<const int64_t> recv_rows) override {
    return inner_.AllToAllV(in, send_rows, recv_rows);
  }
  absl::Status Barrier() override { return inner_.Barrier(); }
  void Abort(const absl::Status& reason) override { inner_.Abort(reason); }

  int calls = 0;

 private:
  Communicator& inner_;
};

TEST(CheckedCommunicatorTest, ConformsLikeTheOneInside) {
  for (const int world_size : {1, 3}) {
    torii::testing::RunOnRanks(world_size, [](Communicator& comm) {
      return testing::CheckConformance(*MakeChecked(std::make_unique<Borrowed>(comm)));
    });
  }
}

TEST(CheckedCommunicatorTest, NamesBothSidesOfAMismatchOnEveryRank) {
  for (const testing::Mismatch& mismatch : testing::Mismatches()) {
    torii::testing::RunOnRanks(3, [&](Communicator& comm) {
      const auto checked = MakeChecked(std::make_unique<Borrowed>(comm));

      const absl::Status status = mismatch.call(*checked, comm.rank() == 2);

      EXPECT_EQ(ExitCodeOf(status), ExitCode::kInternal);
      EXPECT_THAT(std::string(status.message()),
                  AllOf(HasSubstr("rank 0"), HasSubstr("rank 2"), HasSubstr(mismatch.first),
                        HasSubstr(mismatch.last)));
      return absl::OkStatus();
    });
  }
}

TEST(CheckedCommunicatorTest, DoesNotMakeTheCallThatDiffers) {
  torii::testing::RunOnRanks(2, [](Communicator& comm) {
    auto counting = std::make_unique<Borrowed>(comm);
    const Borrowed& counted = *counting;
    const auto checked = MakeChecked(std::move(counting));
    at::Tensor tensor = at::zeros({comm.rank() + 1});

    EXPECT_FALSE(checked->AllReduce(tensor, ReduceOp::kSum).ok());

    EXPECT_EQ(counted.calls, 0);
    return absl::OkStatus();
  });
}

TEST(CheckedCommunicatorTest, PassesAbortOn) {
  auto ranks = CreateInProcessGroup(2);
  const auto checked = MakeChecked(std::move(ranks[0]));

  checked->Abort(DataError("stop"));

  EXPECT_EQ(ExitCodeOf(ranks[1]->Barrier()), ExitCode::kData);
}

}  // namespace
}  // namespace torii::comm
