// One feature of a side: from columns to embedding rows or floats.
//
// The side file is read twice: Observe() sees every chunk, Finish() fixes vocabulary and
// statistics, Encode() sees every chunk again, in the same order.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/data.pb.h"
#include "data/prepared.pb.h"
#include "data/read/column_values.h"

namespace torii::data {

// Encoded values of some rows, in order. BAG: `lengths` and `values`; SINGLE: `values`; DENSE:
// `dense`.
struct EncodedRows {
  std::vector<int64_t> lengths;  // [n]
  std::vector<int32_t> values;   // [nnz] or [n]
  std::vector<float> dense;      // [n * width]
  void clear() {
    lengths.clear();
    values.clear();
    dense.clear();
  }
};

// Used by one thread.
class FeatureEncoder {
 public:
  virtual ~FeatureEncoder() = default;
  // `columns`: the feature's columns of one chunk.
  virtual absl::Status Observe(std::span<const Column> columns) = 0;
  virtual absl::Status Finish() = 0;
  // Appends the rows of the chunk.
  virtual absl::Status Encode(std::span<const Column> columns, EncodedRows* out) const = 0;
  // Appends one row without any value: an id that the side file lacks.
  virtual void EncodeMissing(EncodedRows* out) const = 0;
  // Complete after Finish().
  virtual const PreparedFeature& info() const = 0;
};

// Name of a feature: as configured, else its first column.
std::string FeatureName(const Feature& feature);

std::unique_ptr<FeatureEncoder> MakeFeatureEncoder(const Feature& feature);
std::unique_ptr<FeatureEncoder> MakeCategoricalEncoder(const Feature& feature);
std::unique_ptr<FeatureEncoder> MakeNumericEncoder(const Feature& feature);
std::unique_ptr<FeatureEncoder> MakeTextEncoder(const Feature& feature);
std::unique_ptr<FeatureEncoder> MakeVectorEncoder(const Feature& feature);
std::unique_ptr<FeatureEncoder> MakeFlagsEncoder(const Feature& feature);

}  // namespace torii::data
