// From a sequence of rows to one vector. A kind is a message in sequence.proto, a file here and a
// line in sequence_encoder.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "base/config_rules.h"
#include "model/dense_parameters.h"
#include "model/dropout.h"
#include "model/sequence/sequence.pb.h"

namespace torii::model {

// n sequences of rows, each from the oldest event to the newest; some may be empty.
struct Sequences {
  at::Tensor rows;     // [distinct, E] float32
  at::Tensor index;    // [nnz] int64 into rows, the sequences one behind the other
  at::Tensor offsets;  // [n + 1] int64: sequence i is index[offsets[i] .. offsets[i + 1])
  std::span<const int64_t> begins;  // the offsets on the host
};

class SequenceEncoder {
 public:
  virtual ~SequenceEncoder() = default;
  // [n, SequenceWidth]. Row i depends on sequence i alone; the cost follows nnz, not the longest
  // sequence. Differentiable with respect to the rows and the weights.
  virtual at::Tensor Forward(const Sequences& sequences, const RowDropout& dropout) const = 0;
  virtual bool has_dropout() const { return false; }
};

// Registers the weights, whose names begin with `name` ("user.history"), in `parameters`, which is
// borrowed. width: E.
std::unique_ptr<SequenceEncoder> MakeSequenceEncoder(const HistoryConfig& config,
                                                     const std::string& name, int64_t width,
                                                     DenseParameters& parameters);

// The width of the result, from that of the rows.
int64_t SequenceWidth(const HistoryConfig& config, int64_t width);
// Collects the rules that `config` breaks.
void ValidateHistory(const HistoryConfig& config, const ConfigRules& rules);

}  // namespace torii::model
