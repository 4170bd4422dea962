#include "launch/config/config_flags.h"

#include "base/status_macros.h"
#include "launch/config/validate_config.h"

namespace torii::launch {

void ConfigFlags::Declare(FlagSet& flags) {
  flags.AddTexts("config", &sources.files, "FILE",
                 "Configuration, protobuf text (docs/configuration.md). A later file overrides an "
                 "earlier one.");
  flags.AddTexts("set", &sources.sets, "a.b.c=VALUE",
                 "Override one field: train.epochs=3, eval.k=[10,100].");
  flags.AddText("run-dir", &run_dir, "DIR",
                "Folder of the run: logs, metrics, checkpoints. Overrides run_dir.");
  flags.AddText("prepared", &prepared, "DIR",
                "Folder of the prepared dataset; overrides data.prepared_dir. `torii train` takes "
                "the dataset there as it is, without looking for raw files.");
  flags.AddSeed("seed", &sources.seed, "Overrides seed.");
}

ConfigSources ConfigFlags::Sources() const {
  ConfigSources all = sources;
  if (!run_dir.empty()) all.run_dir = run_dir;
  if (!prepared.empty()) all.prepared_dir = prepared;
  return all;
}

absl::StatusOr<RunConfig> ConfigFlags::Load(FileSystem& files) const {
  ConfigLocations locations;
  TORII_ASSIGN_OR_RETURN(RunConfig config, LoadConfig(files, Sources(), &locations));
  TORII_RETURN_IF_ERROR(ValidateConfig(config, locations));
  return config;
}

}  // namespace torii::launch
