// Expects an error of the preparation.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/exit_code.h"
#include "data/prepare/prepare.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/raw_folder.h"

namespace torii::data {

// A dataset of `config`, which is removed again.
inline std::unique_ptr<Dataset> PrepareForAMoment(const testing::RawFolder& raw,
                                                  const std::string& config) {
  auto dataset = raw.PrepareAndOpen(config);
  EXPECT_TRUE(LocalFiles().RemoveAll(raw.prepared()).ok());
  return dataset;
}

// Prepare fails with `code` and a message that has all of `parts`; no prepared folder appears,
// whole or half.
inline void ExpectError(const testing::RawFolder& raw, const std::string& config, ExitCode code,
                        const std::vector<std::string>& parts) {
  const auto result = raw.Prepare(config);
  ASSERT_FALSE(result.ok()) << "succeeded, expected: " << parts[0];
  EXPECT_EQ(ExitCodeOf(result.status()), code) << result.status();
  for (const std::string& part : parts) {
    EXPECT_THAT(std::string(result.status().message()), ::testing::HasSubstr(part));
  }
  const auto names = LocalFiles().List(raw.path());
  ASSERT_TRUE(names.ok());
  for (const std::string& name : *names) {
    EXPECT_EQ(name.find("prepared"), std::string::npos) << name << " was left behind";
  }
}

}  // namespace torii::data
