// What ids and data alone decide about the loss of a step, where it is computed.
#pragma once

#include <span>

#include "ATen/core/Tensor.h"
#include "base/column_facts.h"
#include "kernels/device.h"
#include "model/loss/loss.h"
#include "sampler/candidates.h"

namespace torii::trainer {

// Every tensor is on the device of the model.
struct LossPlan {
  at::Tensor weight;     // [B] float32: the row's weight / the sum of the weights of all ranks
  at::Tensor seen;       // int64 into all columns: those that this rank's rows see; undefined: all
  at::Tensor items;      // [U] int64: the item row of each seen column, and of the past ones
  at::Tensor positive;   // [B] int64: the seen column of each row's own item
  at::Tensor negatives;  // [B, n] int64, -1: none; undefined if the loss asks for none
  ColumnFacts facts;     // of the seen columns and the past ones
  model::ExcludedColumns excluded;
  sampler::PastColumns past;
};

// weights: [B] of this rank's rows.
LossPlan PlanLoss(const sampler::Candidates& candidates, std::span<const float> weights,
                  const kernels::Device& device);

}  // namespace torii::trainer
