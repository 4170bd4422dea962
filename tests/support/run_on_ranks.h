// Runs a body on W in-process ranks and fails the test with the first rank's error.
#pragma once

#include <functional>

#include "comm/in_process/rank_group.h"
#include "gtest/gtest.h"

namespace torii::testing {

inline void RunOnRanks(int world_size,
                       const std::function<absl::Status(comm::Communicator&)>& body) {
  const absl::Status status = comm::RunRanks(world_size, body);
  EXPECT_TRUE(status.ok()) << "world size " << world_size << ": " << status;
}

}  // namespace torii::testing

// In a body that returns absl::Status: a failed expectation ends this rank with an error, so that
// its peers do not wait for it.
#define TORII_EXPECT_OR_RETURN(condition)                    \
  do {                                                       \
    if (!(condition)) {                                      \
      ADD_FAILURE() << "not true: " #condition;              \
      return ::absl::InternalError("not true: " #condition); \
    }                                                        \
  } while (false)
