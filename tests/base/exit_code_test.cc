#include "base/exit_code.h"

#include "gtest/gtest.h"

namespace torii {
namespace {

TEST(ExitCodeTest, EveryErrorCarriesItsCodeAndMessage) {
  const std::pair<absl::Status, int> kErrors[] = {
      {UsageError("m"), 64},       {DataError("m"), 65},     {NoInputError("m"), 66},
      {InternalError("m"), 70},    {IoError("m"), 74},       {CannotCreateError("m"), 73},
      {InterruptedError("m"), 75}, {PeerLostError("m"), 76}, {ConfigError("m"), 78},
      {DivergedError("m"), 79}};
  for (const auto& [status, code] : kErrors) {
    EXPECT_FALSE(status.ok()) << code;
    EXPECT_EQ(static_cast<int>(ExitCodeOf(status)), code);
    EXPECT_EQ(status.message(), "m");
  }
}

TEST(ExitCodeTest, OkIsZeroAndAForeignErrorIsInternal) {
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), ExitCode::kOk);
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError("x")), ExitCode::kInternal);
}

TEST(AnnotateTest, PutsTheContextFirstAndKeepsTheCode) {
  const absl::Status status = Annotate(Annotate(DataError("bad value"), "row 3"), "items.csv");

  EXPECT_EQ(status.message(), "items.csv: row 3: bad value");
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData);
  EXPECT_EQ(status.code(), DataError("").code());
}

TEST(AnnotateTest, LeavesOkAlone) { EXPECT_TRUE(Annotate(absl::OkStatus(), "context").ok()); }

}  // namespace
}  // namespace torii
