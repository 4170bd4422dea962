#include "model/sequence/pooled.h"

#include "model/pool_rows.h"

namespace torii::model {
namespace {

class Mean final : public SequenceEncoder {
 public:
  explicit Mean(const kernels::Device& device) : device_(device) {}
  at::Tensor Forward(const Sequences& s, const RowDropout&) const final {
    return PoolRows(s.rows, s.index, s.offsets, BagPooling::kMean, device_);
  }

 private:
  const kernels::Device device_;
};

class Recency final : public SequenceEncoder {
 public:
  Recency(double half_life, const kernels::Device& device)
      : half_life_(half_life), device_(device) {}
  at::Tensor Forward(const Sequences& s, const RowDropout&) const final {
    return PoolRecent(s.rows, s.index, s.offsets, half_life_, device_);
  }

 private:
  const double half_life_;
  const kernels::Device device_;
};

}  // namespace

std::unique_ptr<SequenceEncoder> MakeMeanSequence(const kernels::Device& device) {
  return std::make_unique<Mean>(device);
}

std::unique_ptr<SequenceEncoder> MakeRecencySequence(const RecencySequence& config,
                                                     const kernels::Device& device) {
  return std::make_unique<Recency>(config.half_life(), device);
}

}  // namespace torii::model
