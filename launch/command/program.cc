#include "launch/command/program.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/closest_name.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/read/uri_file_system.h"
#include "launch/command/output.h"
#include "launch/process/version.h"

namespace torii::launch {
namespace {

absl::StatusOr<int> Dispatch(const std::vector<std::string>& arguments, Runtime& runtime) {
  const std::vector<std::unique_ptr<Command>> commands = AllCommands();
  const auto print_once = [&](const std::string& text) -> absl::StatusOr<int> {
    if (runtime.is_first_process()) TORII_RETURN_IF_ERROR(Print(text));
    return 0;
  };
  if (arguments.empty()) {
    return UsageError("no command; `torii --help` lists them");
  }
  const std::string& first = arguments[0];
  if (first == "--version" || first == "version") return print_once(VersionText());
  if (first == "--help" || first == "-h") return print_once(ProgramHelp(commands));
  if (first == "help" && arguments.size() == 1) return print_once(ProgramHelp(commands));
  const std::string& name = first == "help" ? arguments[1] : first;
  TORII_ASSIGN_OR_RETURN(Command * command, FindCommand(commands, name));
  if (first == "help") return print_once(CommandHelp(*command));

  FlagSet flags;
  command->Declare(flags);
  TORII_RETURN_IF_ERROR(
      Annotate(flags.Parse(std::span<const std::string>(arguments).subspan(1)), "torii " + name));
  if (flags.help_asked()) return print_once(CommandHelp(*command));
  const std::unique_ptr<FileSystem> files = data::OpenUriFileSystem(LocalFiles());
  return command->Run({runtime, *files, CommandLine(arguments)});
}

}  // namespace

std::vector<std::unique_ptr<Command>> AllCommands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(MakePrepareCommand());
  commands.push_back(MakeTrainCommand());
  commands.push_back(MakeEvalCommand());
  commands.push_back(MakeRecommendCommand());
  commands.push_back(MakeExportCommand());
  commands.push_back(MakeInspectCommand());
  commands.push_back(MakeConfigCommand());
  commands.push_back(MakeDoctorCommand());
  commands.push_back(MakeSynthesizeCommand());
  return commands;
}

absl::StatusOr<Command*> FindCommand(const std::vector<std::unique_ptr<Command>>& commands,
                                     const std::string& name) {
  std::vector<std::string> names;
  for (const auto& command : commands) {
    if (command->text().name == name) return command.get();
    names.push_back(command->text().name);
  }
  const std::string what = name.starts_with("-") ? "unknown option" : "unknown command";
  std::string hint = DidYouMean(name, names);
  if (hint.empty()) hint = "; `torii --help` lists the commands";
  return UsageError(absl::StrCat(what, " '", name, "'", hint));
}

std::string ProgramHelp(const std::vector<std::unique_ptr<Command>>& commands) {
  std::string out =
      "Torii trains two-tower retrieval models: from raw files to recommendations, on one process "
      "or many.\n\nUsage: torii COMMAND [options]\n\nCommands:\n";
  for (const auto& command : commands) {
    const CommandText text = command->text();
    absl::StrAppend(&out, "  ", text.name, std::string(13 - text.name.size(), ' '), text.summary,
                    "\n");
  }
  absl::StrAppend(&out,
                  "\n  --version    Versions of Torii and of the libraries it uses.\n"
                  "  --help       This text; `torii COMMAND --help` explains a command.\n\n"
                  "First steps:\n"
                  "  torii synthesize --out example\n"
                  "  torii train --config example/run.txtpb\n"
                  "  mpirun -np 2 torii train --config example/run.txtpb\n");
  return out;
}

std::string CommandHelp(Command& command) {
  const CommandText text = command.text();
  FlagSet flags;
  command.Declare(flags);
  return absl::StrCat("Usage: torii ", text.name, flags.WordsUsage(), " [options]\n\n",
                      WrapText(text.about, 100, 0), "\n\nOptions:\n", flags.Help(),
                      "\nExample:\n  ", absl::StrReplaceAll(text.example, {{"\n", "\n  "}}), "\n");
}

std::string CommandLine(const std::vector<std::string>& arguments) {
  std::string line = "torii";
  for (const std::string& argument : arguments) {
    constexpr char kPlain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=,:@%+";
    if (!argument.empty() && argument.find_first_not_of(kPlain) == std::string::npos) {
      absl::StrAppend(&line, " ", argument);
    } else {
      absl::StrAppend(&line, " '", absl::StrReplaceAll(argument, {{"'", "'\\''"}}), "'");
    }
  }
  return line;
}

int RunProgram(const std::vector<std::string>& arguments) {
  absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start();
  if (!runtime.ok()) {
    std::fprintf(stderr, "%s\n", ErrorLine(runtime.status()).c_str());
    return static_cast<int>(ExitCodeOf(runtime.status()));
  }
  absl::StatusOr<int> code = 0;
  const absl::Status caught = CatchExceptions([&] {
    code = Dispatch(arguments, **runtime);
    return code.status();
  });
  const int exit_code = (*runtime)->Finish(caught);
  return caught.ok() ? *code : exit_code;
}

}  // namespace torii::launch
