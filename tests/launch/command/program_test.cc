#include "launch/command/program.h"

#include <set>

#include "absl/strings/str_split.h"
#include "base/exit_code.h"
#include "gtest/gtest.h"
#include "launch/process/version.h"

namespace torii::launch {
namespace {

TEST(FindCommandTest, FindsEveryCommandByName) {
  const auto commands = AllCommands();
  for (const char* name : {"prepare", "train", "eval", "recommend", "export", "inspect", "config",
                           "doctor", "synthesize"}) {
    const absl::StatusOr<Command*> command = FindCommand(commands, name);
    ASSERT_TRUE(command.ok()) << name;
    EXPECT_EQ((*command)->text().name, name);
  }
  EXPECT_EQ(commands.size(), 9u);
}

TEST(FindCommandTest, AMistypedNameGetsTheNearest) {
  const auto commands = AllCommands();
  const absl::Status status = FindCommand(commands, "trian").status();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kUsage);
  EXPECT_EQ(status.message(), "unknown command 'trian' (did you mean 'train'?)");
  EXPECT_EQ(FindCommand(commands, "xyzzyxyzzy").status().message(),
            "unknown command 'xyzzyxyzzy'; `torii --help` lists the commands");
  EXPECT_EQ(FindCommand(commands, "--config").status().message().substr(0, 24),
            "unknown option '--config");
}

TEST(HelpTest, ListsAllCommands) {
  const auto commands = AllCommands();
  const std::string help = ProgramHelp(commands);
  for (const auto& command : commands) {
    EXPECT_NE(help.find("\n  " + command->text().name + " "), std::string::npos);
    EXPECT_NE(help.find(command->text().summary), std::string::npos);
  }
}

TEST(HelpTest, EveryCommandExplainsItselfWithAnExampleThatParses) {
  for (const auto& command : AllCommands()) {
    const std::string help = CommandHelp(*command);
    const CommandText text = command->text();
    EXPECT_NE(help.find("Usage: torii " + text.name), std::string::npos);
    EXPECT_NE(help.find("--help"), std::string::npos);
    EXPECT_GE(text.about.size(), 150u) << text.name;
    EXPECT_LE(text.summary.size(), 80u) << text.name;
    for (const absl::string_view line : absl::StrSplit(help, '\n')) {
      EXPECT_LE(line.size(), 110u) << line;
    }
    const std::string first = text.example.substr(0, text.example.find('\n'));
    std::vector<std::string> words = absl::StrSplit(first, ' ');
    ASSERT_EQ(words[0], "torii") << first;
    ASSERT_EQ(words.size() < 2 ? "" : words[1], text.name) << first;
    words.erase(words.begin(), words.begin() + 2);
    const auto fresh = AllCommands();
    FlagSet flags;
    (*FindCommand(fresh, text.name))->Declare(flags);
    const absl::Status parsed = flags.Parse(words);
    EXPECT_TRUE(parsed.ok()) << first << ": " << parsed;
  }
}

TEST(CommandLineTest, QuotesWhatAShellWouldTouch) {
  EXPECT_EQ(CommandLine({"train", "--set", "a.b=[1,2]", "it's", ""}),
            "torii train --set 'a.b=[1,2]' 'it'\\''s' ''");
  EXPECT_EQ(CommandLine({"eval", "--k=10,20"}), "torii eval --k=10,20");
}

TEST(VersionTest, NamesTheLibraries) {
  const std::string text = VersionText();
  for (const char* name : {"torii", "build type", "compiler", "LibTorch", "Arrow", "MPI"}) {
    EXPECT_NE(("\n" + text).find(std::string("\n") + name), std::string::npos) << name;
  }
  for (const auto& [name, value] : Versions()) EXPECT_FALSE(value.empty()) << name;
}

}  // namespace
}  // namespace torii::launch
