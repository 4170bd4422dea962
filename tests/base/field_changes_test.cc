#include "base/field_changes.h"

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "launch/run.pb.h"

namespace torii {
namespace {

using launch::RunConfig;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

RunConfig Parsed(const std::string& text) {
  RunConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  return config;
}

std::vector<FieldChange> Changes(const std::string& before, const std::string& after) {
  return CompareFields(Parsed(before), Parsed(after));
}

TEST(CompareFieldsTest, NamesEachLeafThatDiffersWithBothValues) {
  EXPECT_THAT(Changes("seed: 1 tables { learning_rate: 0.05 } run_dir: 'a' train { epochs: 3 }",
                      "seed: 2 tables { learning_rate: 0.5 } run_dir: 'b' train { epochs: 4 }"),
              ElementsAre(FieldChange{"run_dir", "\"a\"", "\"b\"", FREE},
                          FieldChange{"seed", "1", "2", MEANING},
                          FieldChange{"tables.learning_rate", "0.05", "0.5", MEANING},
                          FieldChange{"train.epochs", "3", "4", LENGTH}));
}

TEST(CompareFieldsTest, ADefaultThatIsWrittenDownIsNoChange) {
  EXPECT_THAT(Changes("model {}", "model { dim: 64 normalize: true }"), IsEmpty());
}

TEST(CompareFieldsTest, DoublesDifferInTheirLastBit) {
  EXPECT_EQ(
      Changes("tables { learning_rate: 0.1 }", "tables { learning_rate: 0.10000000000000002 }")
          .size(),
      1u);
}

TEST(CompareFieldsTest, AFieldWithoutADefaultIsThereOrNot) {
  EXPECT_THAT(Changes("data { interactions {} }", "data { interactions { time: 't' } }"),
              ElementsAre(FieldChange{"data.interactions.time", "(none)", "\"t\"", MEANING}));
}

TEST(CompareFieldsTest, AMessageThatOnlyOneSideHasDiffersAsAWhole) {
  EXPECT_THAT(Changes("model { user {} }", "model { user { history { length: 7 } } }"),
              ElementsAre(FieldChange{"model.user.history", "(none)", "{length: 7}", MEANING}));
  EXPECT_THAT(Changes("train {}", "train { checkpoint { keep: 3 } }"),
              ElementsAre(FieldChange{"train.checkpoint", "(none)", "{keep: 3}", FREE}));
}

TEST(CompareFieldsTest, TheMembersOfAOneofDiffer) {
  EXPECT_THAT(Changes("data { split { last_k: 1 } }", "data { split { time_fraction: 0.25 } }"),
              ElementsAre(FieldChange{"data.split.last_k", "1", "(none)", MEANING},
                          FieldChange{"data.split.time_fraction", "(none)", "0.25", MEANING}));
}

TEST(CompareFieldsTest, ListsDifferElementByElementOrAsAWhole) {
  EXPECT_THAT(Changes("model { user { trunk { mlp { hidden: [8, 4] } } } }",
                      "model { user { trunk { mlp { hidden: [8] } } } }"),
              ElementsAre(FieldChange{"model.user.trunk.mlp.hidden", "[8, 4]", "[8]", MEANING}));
  EXPECT_THAT(Changes("data { items { feature { name: 'a' } feature { name: 'b' text {} } } }",
                      "data { items { feature { name: 'a' } feature { name: 'b' flags {} } } }"),
              ElementsAre(FieldChange{"data.items.feature[1].text", "{}", "(none)", MEANING},
                          FieldChange{"data.items.feature[1].flags", "(none)", "{}", MEANING}));
  EXPECT_THAT(Changes("data { items { feature { name: 'a' } } }", "data { items {} }"),
              ElementsAre(FieldChange{"data.items.feature", "[{name: \"a\"}]", "[]", MEANING}));
}

TEST(CompareFieldsTest, EnumerationsDifferByName) {
  const std::vector<FieldChange> changes =
      Changes("tables { optimizer: SGD }", "tables { optimizer: ADAM }");
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(ToText(changes[0]), "tables.optimizer SGD -> ADAM");
}

}  // namespace
}  // namespace torii
