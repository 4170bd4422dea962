// A subcommand of `torii`: its help text, its flags and what it does.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "launch/config/config_flags.h"
#include "launch/config/flags.h"
#include "launch/process/runtime.h"

namespace torii::launch {

struct CommandText {
  std::string name;
  std::string summary;  // one line for `torii --help`
  std::string about;    // a paragraph: what it does and when to use it
  std::string example;  // command lines
};

struct CommandContext {
  Runtime& runtime;
  FileSystem& files;         // local paths and URIs
  std::string command_line;  // as typed
};

class Command {
 public:
  virtual ~Command() = default;
  virtual CommandText text() const = 0;
  // Adds flags that fill members of this object, which must outlive `flags`.
  virtual void Declare(FlagSet& flags) = 0;
  // Called after the flags were parsed, under MPI by every process. Returns the exit code; an error
  // carries its own (base/exit_code.h).
  virtual absl::StatusOr<int> Run(const CommandContext& context) = 0;
};

std::unique_ptr<Command> MakePrepareCommand();
std::unique_ptr<Command> MakeTrainCommand();
std::unique_ptr<Command> MakeEvalCommand();
std::unique_ptr<Command> MakeRecommendCommand();
std::unique_ptr<Command> MakeExportCommand();
std::unique_ptr<Command> MakeConfigCommand();
std::unique_ptr<Command> MakeInspectCommand();
std::unique_ptr<Command> MakeDoctorCommand();
std::unique_ptr<Command> MakeSynthesizeCommand();

// All of them, in the order of the help text.
std::vector<std::unique_ptr<Command>> AllCommands();

}  // namespace torii::launch
