#include "comm/peer_status.h"

#include "base/exit_code.h"
#include "gtest/gtest.h"

namespace torii::comm {
namespace {

TEST(PeerStatusTest, KeepsTheExitCodeAndNamesTheRank) {
  const absl::Status told = FromPeer(3, DataError("a.csv:2: bad"));
  EXPECT_EQ(told.message(), "rank 3: a.csv:2: bad");
  EXPECT_EQ(ExitCodeOf(told), ExitCode::kData);
  EXPECT_TRUE(IsFromPeer(told));
  EXPECT_TRUE(IsFromPeer(Annotate(told, "while preparing")));
  EXPECT_TRUE(FromPeer(3, absl::OkStatus()).ok());
}

TEST(PeerStatusTest, AnOwnFailureIsNot) {
  EXPECT_FALSE(IsFromPeer(absl::OkStatus()));
  EXPECT_FALSE(IsFromPeer(DataError("rank 3: is only in the text")));
  EXPECT_TRUE(IsFromPeer(PeerLostError("rank 3 has left")));
}

}  // namespace
}  // namespace torii::comm
