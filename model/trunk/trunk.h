// What stands between the joined inputs of a tower and its head. A kind is a message in
// trunk.proto, a file here and a line in trunk.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "base/config_rules.h"
#include "model/dense_parameters.h"
#include "model/dropout.h"
#include "model/linear_layers.h"
#include "model/trunk/trunk.pb.h"

namespace torii::model {

// Rows, and linear layers that are still to be applied to them, each followed by ReLU. The next
// part may append layers of its own, so that all of them run as one pass (LinearLayers).
struct LayeredRows {
  at::Tensor x;                       // [n, in]
  std::vector<LinearWeights> layers;  // may be none
  kernels::Device device = kernels::Device::Cpu();

  at::Tensor Apply() const;  // [n, out]
};

class Trunk {
 public:
  virtual ~Trunk() = default;
  virtual int64_t width() const = 0;  // H
  virtual bool has_dropout() const = 0;
  // [n, in] -> [n, H]. Row i depends on row i alone.
  virtual LayeredRows Forward(LayeredRows rows, const RowDropout& dropout) const = 0;
};

// Where a trunk stands.
struct TrunkPlace {
  std::string name;      // prefix of its weights: "user.trunk"
  std::string init_key;  // layer l of an MLP starts like a weight "<init_key><l>.weight"
  std::string dropout;   // prefix of its layers' names in RowDropout: "" or "shared."
  int64_t in = 0;        // width of the rows that it gets
  int64_t dim = 0;       // D of the model
};

// Registers the weights in `parameters`, which is borrowed.
std::unique_ptr<Trunk> MakeTrunk(const TrunkConfig& config, const TrunkPlace& place,
                                 DenseParameters& parameters);

// The width of what the trunk gives, from what it gets.
int64_t TrunkWidth(const TrunkConfig& config, int64_t in, int64_t dim);
// Whether it does nothing.
bool IsIdentity(const TrunkConfig& config);
// Collects the rules that `config` breaks.
void ValidateTrunk(const TrunkConfig& config, const ConfigRules& rules);

}  // namespace torii::model
