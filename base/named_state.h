// The state that training needs to go on, by name: every part registers what it has once, and
// checkpoints, digests, inspection and loading walk the registry. Only for layers that link
// LibTorch.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "base/check.h"
#include "base/partition.h"

namespace torii {

enum class StateRole {
  kWeight,    // part of the model: evaluation, recommendation and export need it
  kTraining,  // needed only to go on training: optimizer state, queues, estimators
};

struct StateTensor {
  std::string name;  // "user.trunk.0.weight", "user.trunk.0.weight.adam.m", "item_id.weight"
  // The live tensor, written from and loaded into: any dtype, and any shape if replicated. With a
  // partition, its first dimension is the slots of this rank.
  at::Tensor tensor;
  std::optional<Partition> partition =
      std::nullopt;  // which rank holds which row; nullopt: all hold the same
  StateRole role = StateRole::kTraining;
};

// A small text that is the same on every rank.
struct StateMessage {
  std::string name;  // "position"
  std::function<std::string()> save;
  std::function<absl::Status(const std::string&)> load;  // kData if the text is not such a message
};

class StateRegistry {
 public:
  // A name occurs once.
  void Add(StateTensor tensor) {
    CheckNew(tensor.name);
    tensors_.push_back(std::move(tensor));
  }
  void Add(StateMessage message) {
    CheckNew(message.name);
    messages_.push_back(std::move(message));
  }
  // In the order of registration.
  const std::vector<StateTensor>& tensors() const { return tensors_; }
  const std::vector<StateMessage>& messages() const { return messages_; }

 private:
  void CheckNew(const std::string& name) const {
    for (const StateTensor& t : tensors_) TORII_CHECK(t.name != name, "two states called ", name);
    for (const StateMessage& m : messages_) TORII_CHECK(m.name != name, "two states called ", name);
  }

  std::vector<StateTensor> tensors_;
  std::vector<StateMessage> messages_;
};

}  // namespace torii
