// What the tests of sequence encoders share: random rows, and sequences of them.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "model/sequence/sequence_encoder.h"

namespace torii::model {

inline constexpr int64_t kRowWidth = 5;

inline RowDropout NoDropout() { return RowDropout("user", DropoutStep(), {}); }

inline at::Tensor Normal(at::IntArrayRef sizes) {
  static std::mt19937_64 random{12};
  std::normal_distribution<float> normal;
  at::Tensor out = at::empty(sizes, at::kFloat);
  for (int64_t i = 0; i < out.numel(); ++i) out.mutable_data_ptr<float>()[i] = normal(random);
  return out;
}

// Sequences and the memory of their begins.
struct OwnedSequences : Sequences {
  explicit OwnedSequences(std::vector<int64_t> kept_begins) : kept(std::move(kept_begins)) {
    begins = kept;
    offsets = at::tensor(kept, at::kLong);
  }
  OwnedSequences(const OwnedSequences&) = delete;
  const std::vector<int64_t> kept;
};

// Sequences of these lengths over `distinct` rows of kRowWidth floats, which want a gradient.
inline std::unique_ptr<OwnedSequences> RandomSequences(const std::vector<int64_t>& lengths,
                                                       int64_t distinct) {
  std::vector<int64_t> offsets{0}, index;
  for (const int64_t length : lengths) {
    for (int64_t k = 0; k < length; ++k) {
      index.push_back(static_cast<int64_t>(index.size() * 7 + 3) % distinct);
    }
    offsets.push_back(static_cast<int64_t>(index.size()));
  }
  auto s = std::make_unique<OwnedSequences>(std::move(offsets));
  s->rows = Normal({distinct, kRowWidth}).requires_grad_();
  s->index = at::tensor(index, at::kLong);
  return s;
}

}  // namespace torii::model
