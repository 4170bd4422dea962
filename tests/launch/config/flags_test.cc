#include "launch/config/flags.h"

#include "base/exit_code.h"
#include "gtest/gtest.h"

namespace torii::launch {
namespace {

struct Values {
  bool force = false;
  std::string out;
  std::vector<std::string> sets, words;
  int64_t k = 10;
  std::optional<uint64_t> seed;
  std::vector<int> ks;
};

FlagSet Declare(Values* values) {
  FlagSet flags;
  flags.AddWords("PATH", &values->words, 0, 1, "A path.");
  flags.AddSwitch("force", &values->force, "Do it.");
  flags.AddText("out", &values->out, "DIR", "Where to.");
  flags.AddTexts("set", &values->sets, "a=b", "Override.");
  flags.AddInteger("k", &values->k, 1, "How many.");
  flags.AddSeed("seed", &values->seed, "The seed.");
  flags.AddIntegers("ks", &values->ks, "Cut-offs.");
  return flags;
}

absl::Status Parse(const std::vector<std::string>& arguments, Values* values) {
  return Declare(values).Parse(arguments);
}

TEST(FlagSetTest, FillsVariablesOfEveryKind) {
  Values values;

  const absl::Status status = Parse({"--force", "--out", "x", "--set", "a=1", "--set=b=2", "--k=3",
                                     "here", "--seed", "18446744073709551615", "--ks", "1,20"},
                                    &values);

  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(values.force);
  EXPECT_EQ(values.out, "x");
  EXPECT_EQ(values.sets, (std::vector<std::string>{"a=1", "b=2"}));
  EXPECT_EQ(values.k, 3);
  EXPECT_EQ(values.words, (std::vector<std::string>{"here"}));
  EXPECT_EQ(values.seed, 18446744073709551615u);
  EXPECT_EQ(values.ks, (std::vector<int>{1, 20}));
}

TEST(FlagSetTest, KeepsDefaultsWithoutArguments) {
  Values values;
  ASSERT_TRUE(Parse({}, &values).ok());
  EXPECT_EQ(values.k, 10);
  EXPECT_FALSE(values.seed.has_value());
}

TEST(FlagSetTest, ErrorsNameTheFlagAndTheRemedy) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--ouut", "x"}, "unknown option '--ouut' (did you mean '--out'?)"},
      {{"--zzzzzzzzz=1"}, "unknown option '--zzzzzzzzz'; see --help"},
      {{"-k", "3"}, "unknown option '-k' (did you mean '--k'?)"},
      {{"--out"}, "--out needs a value: --out DIR"},
      {{"--out="}, "--out: the value is empty"},
      {{"--out", "a", "--out", "b"}, "--out is given twice"},
      {{"--force=1"}, "--force takes no value"},
      {{"--k", "0"}, "--k: '0' is not a whole number >= 1"},
      {{"--k", "3x"}, "--k: '3x' is not a whole number >= 1"},
      {{"--seed", "-1"}, "--seed: '-1' is not a whole number in [0, 2^64)"},
      {{"--ks", "10,,20"}, "--ks: '' in '10,,20' is not a whole number >= 1"},
      {{"one", "two"}, "unexpected argument 'two'"},
  };
  for (const auto& [arguments, message] : cases) {
    Values values;
    const absl::Status status = Parse(arguments, &values);
    EXPECT_EQ(status.message(), message);
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kUsage) << message;
  }
}

TEST(FlagSetTest, MissingWordIsAnError) {
  FlagSet flags;
  std::vector<std::string> words;
  flags.AddWords("PATH", &words, 1, 1, "A checkpoint.");
  EXPECT_EQ(flags.Parse(std::vector<std::string>{}).message(), "PATH is missing: A checkpoint.");
  EXPECT_EQ(flags.WordsUsage(), " PATH");
}

TEST(FlagSetTest, EverythingAfterTwoDashesIsAWord) {
  Values values;
  ASSERT_TRUE(Parse({"--", "--force"}, &values).ok());
  EXPECT_FALSE(values.force);
  EXPECT_EQ(values.words, (std::vector<std::string>{"--force"}));
}

TEST(FlagSetTest, HelpComesBeforeAnyError) {
  Values values;
  FlagSet flags = Declare(&values);
  ASSERT_TRUE(flags.Parse(std::vector<std::string>{"--nonsense", "-h"}).ok());
  EXPECT_TRUE(flags.help_asked());
}

TEST(FlagSetTest, HelpListsEveryFlagWithinTheWidth) {
  Values values;
  FlagSet flags = Declare(&values);
  const std::string help = flags.Help();
  for (const char* name :
       {"--force", "--out DIR", "--set a=b", "--k N", "--ks N,N,...", "--help"}) {
    EXPECT_NE(help.find(name), std::string::npos) << name;
  }
  EXPECT_NE(help.find("May be repeated."), std::string::npos);
}

TEST(WrapTextTest, BreaksAtSpacesAndIndents) {
  EXPECT_EQ(WrapText("aa bb cc", 5, 2), "aa bb\n  cc");
  EXPECT_EQ(WrapText("", 5, 2), "");
  EXPECT_EQ(WrapText("longerthanwidth x", 5, 0), "longerthanwidth\nx");
}

}  // namespace
}  // namespace torii::launch
