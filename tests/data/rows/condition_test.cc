#include "data/rows/condition.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/exit_code.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace torii::data {
namespace {

using ::testing::HasSubstr;

std::string TextOf(const ConditionValue& value) {
  return std::holds_alternative<double>(value)
             ? absl::StrCat(std::get<double>(value))
             : absl::StrCat("'", std::get<std::string>(value), "'");
}

// The tree with a bracket around everything: "(or (= a 1) (not (null b)))".
std::string TextOf(const Condition& condition) {
  constexpr const char* kNames[] = {"and", "or", "not", "=",  "!=",  "<",
                                    "<=",  ">",  ">=",  "in", "null"};
  std::string text = absl::StrCat("(", kNames[static_cast<int>(condition.kind)]);
  for (const Condition& part : condition.parts) {
    absl::StrAppend(&text, " ", TextOf(part));
  }
  if (condition.parts.empty()) {
    absl::StrAppend(&text, " ", condition.column);
  }
  for (const ConditionValue& value : condition.values) {
    absl::StrAppend(&text, " ", TextOf(value));
  }
  return absl::StrCat(text, ")");
}

std::string Tree(const std::string& text) {
  const auto condition = ParseCondition(text);
  return condition.ok() ? TextOf(*condition) : std::string(condition.status().message());
}

TEST(ConditionTest, ReadsEveryTest) {
  EXPECT_EQ(Tree("a=1"), "(= a 1)");
  EXPECT_EQ(Tree("a == -2.5e1"), "(= a -25)");
  EXPECT_EQ(Tree("a != 'view'"), "(!= a 'view')");
  EXPECT_EQ(Tree("a <> \"it's\""), "(!= a 'it's')");
  EXPECT_EQ(Tree("a<.5"), "(< a 0.5)");
  EXPECT_EQ(Tree("a <= +3"), "(<= a 3)");
  EXPECT_EQ(Tree("a > 'it''s'"), "(> a 'it's')");
  EXPECT_EQ(Tree("a >= true"), "(>= a 1)");
  EXPECT_EQ(Tree("a = FALSE"), "(= a 0)");
  EXPECT_EQ(Tree("a in ('x', 'y','')"), "(in a 'x' 'y' '')");
  EXPECT_EQ(Tree("a NOT IN (1)"), "(not (in a 1))");
  EXPECT_EQ(Tree("a is null"), "(null a)");
  EXPECT_EQ(Tree("a Is Not Null"), "(not (null a))");
  EXPECT_EQ(Tree("`my ``column` = 1"), "(= my `column 1)");
  EXPECT_EQ(Tree("`null` is null"), "(null null)");
  EXPECT_EQ(Tree("geo.city_2$ = '\xe6\x9d\xb1'"), "(= geo.city_2$ '\xe6\x9d\xb1')");
}

TEST(ConditionTest, AndBindsCloserThanOrAndNotCloserThanAnd) {
  EXPECT_EQ(Tree("a=1 or b=2 and c=3"), "(or (= a 1) (and (= b 2) (= c 3)))");
  EXPECT_EQ(Tree("(a=1 or b=2) and c=3"), "(and (or (= a 1) (= b 2)) (= c 3))");
  EXPECT_EQ(Tree("not a=1 and b=2"), "(and (not (= a 1)) (= b 2))");
  EXPECT_EQ(Tree("not not (a=1)"), "(not (not (= a 1)))");
  EXPECT_EQ(Tree("a=1 or b=2 or c=3"), "(or (or (= a 1) (= b 2)) (= c 3))");
}

TEST(ConditionTest, AnErrorNamesTheCharacter) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "character 1: the name of a column is needed"},
      {"price >", "character 8: a number, a text in quotes, true or false is needed, not the end"},
      {"price", "character 6: after the column \"price\" =, !=, <, <=, >, >=, \"in\" or \"is\""},
      {"price = 1 event = 2", "character 11: \"and\", \"or\" or the end is needed, not \"event\""},
      {"event = view",
       "character 9: a number, a text in quotes, true or false is needed, not "
       "\"view\""},
      {"5 < price", "character 1: the name of a column is needed"},
      {"(a = 1", "character 7: \"and\", \"or\" or the \")\" of character 1 is needed, not the end"},
      {"a in (1, 'x')", "character 10: a list has either numbers or texts"},
      {"a in ()", "character 7: a number, a text in quotes"},
      {"a in 1", "character 6: \"(\" is needed"},
      {"a = null", "character 5: a value is needed (what is missing is found by \"is null\")"},
      {"a is 5", "character 6: \"null\" is needed"},
      {"a not 5", "character 7: \"in\" is needed"},
      {"a = 'x", "character 5: the quote ' is not closed"},
      {"a = 5x", "character 5: this is no number"},
      {"my-column = 1", "character 3: '-' has no meaning here"},
      {"a = 9007199254740993", "character 5: 9007199254740993 is too large"},
      // Characters, not bytes.
      {"\xe6\x9d\xb1 = ", "character 5: a number"}};
  for (const auto& [text, message] : cases) {
    const auto condition = ParseCondition(text);
    ASSERT_FALSE(condition.ok()) << text;
    EXPECT_EQ(ExitCodeOf(condition.status()), ExitCode::kConfig);
    EXPECT_THAT(std::string(condition.status().message()), HasSubstr(message)) << text;
  }
}

TEST(ConditionTest, RefusesADeepNest) {
  for (const std::string word : {"(", "not "}) {
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += word;
    EXPECT_THAT(Tree(deep), HasSubstr("nested too deeply"));
  }
}

}  // namespace
}  // namespace torii::data
