// Ranks compare what they were started with before they train: ranks of two seeds or two rates
// would end well with two models.
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

// OK on all ranks if the configurations are alike but for fields marked LOCAL; else kConfig with
// every such field of the first rank that differs, its value and rank 0's. The same program on all
// ranks. Collective.
absl::Status AgreeOnConfig(comm::Communicator& comm, const google::protobuf::Message& mine);

}  // namespace torii::trainer
