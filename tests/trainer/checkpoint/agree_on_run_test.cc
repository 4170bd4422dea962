#include "trainer/checkpoint/agree_on_run.h"

#include "absl/strings/match.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "tests/support/run_on_ranks.h"
#include "trainer/trainer.pb.h"

namespace torii::trainer {
namespace {

// The configuration of a rank: `differs` changes that of rank 2.
absl::Status Agree(int world, void (*differs)(TrainConfig*)) {
  absl::Status of_rank_0;
  testing::RunOnRanks(world, [&](comm::Communicator& comm) -> absl::Status {
    TrainConfig config;
    config.set_epochs(3);
    if (comm.rank() == 2) differs(&config);
    const absl::Status agreed = AgreeOnConfig(comm, config);
    if (comm.rank() == 0) of_rank_0 = agreed;
    TORII_EXPECT_OR_RETURN(agreed.ok() == AgreeOnConfig(comm, config).ok());
    return absl::OkStatus();
  });
  return of_rank_0;
}

TEST(AgreeOnRunTest, TheSameOrLocallyDifferentConfigurationsAgree) {
  EXPECT_TRUE(Agree(4, [](TrainConfig*) {}).ok());
  EXPECT_TRUE(Agree(4, [](TrainConfig* c) { c->set_prefetch(7); }).ok());
  EXPECT_TRUE(Agree(1, [](TrainConfig*) {}).ok());
}

TEST(AgreeOnRunTest, ADifferenceIsNamedWithBothValues) {
  const absl::Status status = Agree(3, [](TrainConfig* c) {
    c->mutable_dense()->set_learning_rate(0.5);
    c->set_eval_every_epochs(2);  // free at resume, but ranks must evaluate together
  });
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig) << status;
  EXPECT_TRUE(
      absl::StrContains(status.message(), "eval_every_epochs is 1 on rank 0 and 2 on rank 2"))
      << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "learning_rate: 0.5")) << status;
}

TEST(AgreeOnRunTest, TextsAgreeOrAreNamed) {
  testing::RunOnRanks(3, [](comm::Communicator& comm) -> absl::Status {
    TORII_EXPECT_OR_RETURN(AgreeOnText(comm, "the program", "1.0").ok());
    const absl::Status status = AgreeOnText(comm, "the program", comm.rank() == 1 ? "1.1" : "1.0");
    TORII_EXPECT_OR_RETURN(ExitCodeOf(status) == ExitCode::kConfig);
    TORII_EXPECT_OR_RETURN(absl::StrContains(status.message(), "'1.0' on rank 0"));
    TORII_EXPECT_OR_RETURN(absl::StrContains(status.message(), "'1.1' on rank 1"));
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace torii::trainer
