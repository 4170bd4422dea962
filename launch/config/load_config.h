// The configuration of a run: protobuf text files laid over one another, then --set assignments,
// then --run-dir and --seed. Pure but for reading the files; every message says where:
// "my.txtpb:12:5: ...".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "google/protobuf/message.h"
#include "launch/config/config_locations.h"
#include "launch/run.pb.h"

namespace torii::launch {

struct ConfigSources {
  std::vector<std::string> files;  // a later one overrides an earlier one
  std::vector<std::string> sets;   // "train.epochs=3"
  std::optional<std::string> run_dir;
  std::optional<std::string> prepared_dir;
  std::optional<uint64_t> seed;
};

// A configuration of no sources has all defaults. Every field that has a default is set in the
// result (FillDefaults). `locations`, if given, receives where each field was given. Rules are not
// checked (validate_config.h). Errors: kNoInput for a missing file, kConfig for the rest.
absl::StatusOr<RunConfig> LoadConfig(FileSystem& files, const ConfigSources& sources,
                                     ConfigLocations* locations = nullptr);

// Parses protobuf text into `message`, which is cleared first. `name` is the file's, for messages.
absl::Status ParseConfigText(const std::string& text, const std::string& name,
                             google::protobuf::Message* message,
                             ConfigLocations* locations = nullptr);

// Applies the --set assignments in order. kConfig names each one that does not fit.
absl::Status ApplyOverrides(const std::vector<std::string>& assignments,
                            google::protobuf::Message* message,
                            ConfigLocations* locations = nullptr);

// Lays `over` over `base`: fields that `over` has replace those of `base`; messages are laid over
// each other field by field; lists are replaced, not appended to.
void Overlay(const google::protobuf::Message& over, google::protobuf::Message* base);

// Sets every field that has a default to it, so that what is written down does not change with the
// program. Optional parts (split, users, items, history, features) that are absent stay absent.
void FillDefaults(RunConfig* config);

// Protobuf text, one field a line, that ParseConfigText reads back to an equal message.
std::string PrintConfig(const google::protobuf::Message& message);

}  // namespace torii::launch
