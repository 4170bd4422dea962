#include "launch/config/moved_fields.h"

#include <string>
#include <vector>

#include "base/exit_code.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "launch/config/config_override.h"
#include "launch/config/load_config.h"
#include "launch/run.pb.h"

namespace torii::launch {
namespace {

using ::testing::HasSubstr;

std::string Refused(const std::string& text) {
  RunConfig config;
  const absl::Status status = ParseConfigText(text, "run.txtpb", &config);
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig) << text;
  return std::string(status.message());
}

TEST(MovedFieldsTest, EachIsRefusedByNameWithWhatToWriteInstead) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"user { combine: SUM }", "join { sum {} }"},
      {"user { hidden: [256, 128] }", "trunk { mlp { hidden: [256, 128] } }"},
      {"item { activation: GELU }", "trunk { mlp { activation: GELU } }"},
      {"item { layer_norm: true }", "trunk { mlp { layer_norm: true } }"},
      {"item { dropout: 0.1 }", "trunk { mlp { dropout: 0.1 } }"},
      {"user { history { pooling: RECENCY } }", "recency {}"},
      {"user { history { half_life: 10 } }", "recency { half_life: 10 }"},
      {"temperature: 0.07", "scorer { inner_product { temperature: 0.07 } }"},
  };
  for (const auto& [old, instead] : cases) {
    const std::string message = Refused("model {\n  " + old + " }");
    EXPECT_THAT(message, HasSubstr("run.txtpb:2:")) << old;
    EXPECT_THAT(message, HasSubstr(" has moved: write ")) << old;
    EXPECT_THAT(message, HasSubstr(instead)) << old;
  }
}

// The parser of protobuf text skips a reserved name without a word: no message may reserve one.
void ExpectNoReservedNames(const google::protobuf::Descriptor& type) {
  EXPECT_EQ(type.reserved_name_count(), 0) << type.full_name();
  for (int i = 0; i < type.field_count(); ++i) {
    if (type.field(i)->message_type() != nullptr) {
      ExpectNoReservedNames(*type.field(i)->message_type());
    }
  }
}

TEST(MovedFieldsTest, NoNameIsReserved) { ExpectNoReservedNames(*RunConfig::descriptor()); }

TEST(MovedFieldsTest, OverridesAreRefusedAlike) {
  RunConfig config;
  const absl::Status status = ApplyOverride("model.user.hidden=[8]", &config);
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("the field 'hidden' of TowerConfig has moved: write trunk { mlp {"));
}

// What the messages tell people to write is understood.
TEST(MovedFieldsTest, TheNewWordsParse) {
  RunConfig config;
  const absl::Status status = ParseConfigText(
      "model { scorer { inner_product { temperature: 0.07 } } user { join { sum {} } "
      "trunk { mlp { hidden: [256, 128] activation: GELU layer_norm: true dropout: 0.1 } } "
      "history { recency { half_life: 10 } } } item { history { mean {} } } }",
      "run.txtpb", &config);
  EXPECT_TRUE(status.ok()) << status;
}

TEST(MovedFieldsTest, OtherUnknownFieldsNameTheirNeighbours) {
  EXPECT_THAT(Refused("model { dims: 3 }"), HasSubstr("did you mean 'dim'"));
}

}  // namespace
}  // namespace torii::launch
