// The flags that choose a configuration, shared by the commands that read one.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "launch/config/flags.h"
#include "launch/config/load_config.h"

namespace torii::launch {

// --config, --set, --run-dir, --prepared, --seed.
struct ConfigFlags {
  ConfigSources sources;
  std::string run_dir, prepared;
  void Declare(FlagSet& flags);
  // The configuration, with every rule checked.
  absl::StatusOr<RunConfig> Load(FileSystem& files) const;
  ConfigSources Sources() const;
};

}  // namespace torii::launch
