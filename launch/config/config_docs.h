// docs/configuration.md, made from the configuration messages and their comments. The comments are
// not in a program's descriptors, so the build embeds a descriptor set that has them
// (cmake/embed_descriptors.cmake).
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace torii::launch {

// The embedded google.protobuf.FileDescriptorSet, serialised.
std::string_view EmbeddedDescriptors();

// Markdown: one section per message reachable from `root`, one table row per field.
absl::StatusOr<std::string> ConfigDocs(std::string_view descriptors,
                                       const std::string& root = "torii.launch.RunConfig");

}  // namespace torii::launch
