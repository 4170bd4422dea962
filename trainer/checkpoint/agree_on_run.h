// Ranks compare what they were started with before they train. Otherwise ranks with different seeds
// or learning rates would train different models without an error.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "comm/communicator.h"
#include "google/protobuf/message.h"

namespace torii::trainer {

// OK on all ranks if `mine` is the same text on all; else kConfig that names `what`, the first rank
// that differs, its text and rank 0's. Collective.
absl::Status AgreeOnText(comm::Communicator& comm, const std::string& what,
                         const std::string& mine);

// OK on all ranks if the configurations are equal in all fields that are not marked LOCAL. Else
// kConfig: every such field in which the first differing rank differs from rank 0, with both
// values. All ranks must run the same program. Collective.
absl::Status AgreeOnConfig(comm::Communicator& comm, const google::protobuf::Message& mine);

}  // namespace torii::trainer
