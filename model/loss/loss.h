// A loss: what it asks of a step, what it is given, what it gives back. Single-process code: it
// gets tensors of one rank and returns tensors. Where it needs a value over all ranks in its middle
// it says which tensor is to be reduced, and how; whoever runs the step reduces it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/column_facts.h"
#include "base/config_rules.h"
#include "base/row_groups.h"
#include "kernels/device.h"
#include "model/loss/loss.pb.h"
#include "model/scorer/scorer.h"

namespace torii::model {

// What the step has to plan and exchange for a loss.
struct LossNeeds {
  // Every row is scored against all candidate columns. Otherwise against its own positive and its
  // own negatives alone.
  bool all_columns = true;
  // Negatives drawn for each row alone.
  int64_t negatives_per_row = 0;
  // Columns are the same on all ranks: what a rank draws for its own rows does not serve.
  bool same_columns = false;
  // Scores are inner products.
  bool inner_product = false;
};

// Columns that a query does not see: those of query i are columns[begin[i]] .. columns[begin[i + 1]
// - 1]. A row's own positive is never one of them.
struct ExcludedColumns {
  at::Tensor begin;    // [R + 1] int64; undefined: nothing is excluded
  at::Tensor columns;  // int64 in [0, U)
};

// B rows of R queries against U columns of width D, on one rank, scored by the scorer. The loss of
// a step is the sum over the rows of all ranks of weight * loss of the row.
struct LossInput {
  at::Tensor q;         // [R, D] float32, no graph: what scorer->ScaleQueries gave
  at::Tensor v;         // [U, D] float32, no graph
  RowGroups rows;       // B rows over R queries
  at::Tensor weight;    // [B] float32: the row's weight / the sum of the weights of all ranks
  at::Tensor items;     // [U] int64: the item row of each column
  at::Tensor positive;  // [B] int64: column of the row's own item
  at::Tensor
      negatives;      // [B, n] int64: columns of the row's own negatives, -1: none (only if asked)
  ColumnFacts facts;  // of the columns (only if all columns were asked)
  ExcludedColumns excluded;
  std::shared_ptr<const Scorer> scorer;
  kernels::Device device = kernels::Device::Cpu();  // where all of it is
};

// A loss adds the gradients of the scorer's own weights to the dense gradient; those of a learned
// temperature are added later, by Scorer::QueryGradient.
struct LossResult {
  at::Tensor value;   // [] float64: this rank's part of the loss
  at::Tensor q_grad;  // [R, D]
  at::Tensor v_grad;  // [U, D]: this rank's part, to be summed over the ranks
};

// A tensor whose sum or maximum over the ranks a loss needs. It has the same shape on all ranks.
struct Reduction {
  enum class Op { kSum, kMax };
  at::Tensor tensor;
  Op op = Op::kSum;
};

class Loss {
 public:
  virtual ~Loss() = default;
  virtual LossNeeds needs() const = 0;
  // How many tensors it needs reduced over the ranks, one after the other.
  virtual int num_reductions() const = 0;
  // The tensor to be reduced next, number reduced.size(). reduced: the results of those before it.
  virtual absl::StatusOr<Reduction> Partial(const LossInput& input,
                                            std::span<const at::Tensor> reduced) = 0;
  // Value and gradients, once all are reduced. A value that is infinite or NaN is not an error of
  // the call.
  virtual absl::StatusOr<LossResult> Finish(const LossInput& input,
                                            std::span<const at::Tensor> reduced) = 0;
  // After a loss that is not finite: computes it again and says which row it is of, with its
  // logits.
  virtual std::string Explain(const LossInput& input) = 0;
  // For the log: "softmax, pairing A, FLOAT32 products, avx512".
  virtual std::string Description() const = 0;
};

// What the loss of `config` needs, and its name as the configuration writes it ("softmax").
LossNeeds NeedsOf(const LossConfig& config);
std::string NameOf(const LossConfig& config);
// Collects the rules that `config` breaks.
void Validate(const LossConfig& config, const ConfigRules& rules);
// `device`: where the inputs will be.
std::unique_ptr<Loss> MakeLoss(const LossConfig& config, const kernels::Device& device);

}  // namespace torii::model
