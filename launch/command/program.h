// The program: finds the subcommand, parses its flags, runs it, ends with its exit code.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "launch/command/command.h"

namespace torii::launch {

// arguments: without the program's name. Prints help and errors; returns the exit code.
int RunProgram(const std::vector<std::string>& arguments);

// The command called `name`, or kUsage with the nearest name. Pure.
absl::StatusOr<Command*> FindCommand(const std::vector<std::unique_ptr<Command>>& commands,
                                     const std::string& name);

// `torii --help`, and `torii <command> --help`. Pure.
std::string ProgramHelp(const std::vector<std::unique_ptr<Command>>& commands);
std::string CommandHelp(Command& command);

// The arguments as one line that a shell would read back.
std::string CommandLine(const std::vector<std::string>& arguments);

}  // namespace torii::launch
