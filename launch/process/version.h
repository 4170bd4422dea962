// The versions of the program and its libraries, for `torii --version`, the run folder and
// `torii doctor`.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace torii::launch {

// ("torii", "0.1.0"), ("build type", "Release"), ("compiler", ...), ("LibTorch", ...), ("Arrow",
// ...), ("MPI", ...).
std::vector<std::pair<std::string, std::string>> Versions();

// Several lines.
std::string VersionText();

}  // namespace torii::launch
