// From one input of a tower to one vector for each row. A kind is a value of TowerSource::Kind, a
// class and a line in encoder.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "ATen/core/Tensor.h"
#include "model/dense_parameters.h"
#include "model/dropout.h"
#include "model/model.pb.h"
#include "model/model_plan.h"

namespace torii::model {

// What an input is given: looked-up rows, or floats.
struct EncoderInput {
  at::Tensor rows;     // [distinct, E] float32; a leaf if gradients are wanted; may be shared by
                       // several inputs
  at::Tensor index;    // int64 into rows: [n] (kId, kSingle; undefined: 0, 1, ..., n - 1) or [nnz]
                       // (kBag, kHistory)
  at::Tensor offsets;  // [n + 1] int64 (kBag, kHistory); undefined otherwise
  std::span<const int64_t> begins;  // the offsets on the host
  at::Tensor floats;                // [n, width] float32 (kDense, kVector), which have nothing else
};

class Encoder {
 public:
  virtual ~Encoder() = default;
  // [n, TowerSource::output]. Row i depends on row i of the input alone.
  virtual at::Tensor Forward(const EncoderInput& input, const RowDropout& dropout) const = 0;
  virtual bool has_dropout() const { return false; }
  // Whether row i of the result is rows[index[i]] as it is.
  virtual bool picks_rows() const { return false; }
};

// The encoder of a source of the tower. Registers its weights in `parameters`, which is borrowed.
std::unique_ptr<Encoder> MakeEncoder(const std::string& side, const TowerSource& source,
                                     const TowerConfig& config, DenseParameters& parameters);

}  // namespace torii::model
