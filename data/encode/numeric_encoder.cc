#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "base/exit_code.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "data/encode/feature_encoder.h"

namespace torii::data {
namespace {

// STANDARDIZE, LOG1P: [scaled, missing]. QUANTILE: [q, q^2, sqrt(q), missing]. BUCKETS: one
// embedding row, 0 missing.
class NumericEncoder final : public FeatureEncoder {
 public:
  explicit NumericEncoder(const Feature& feature) : config_(feature.numeric()) {
    info_.set_name(FeatureName(feature));
    info_.set_kind(buckets() ? PreparedFeature::SINGLE : PreparedFeature::DENSE);
    if (!buckets()) {
      info_.set_width(config_.transform() == Numeric::QUANTILE ? 4 : 2);
    }
  }

  absl::Status Observe(std::span<const Column> columns) override {
    file_ = columns[0].file;
    TORII_ASSIGN_OR_RETURN(const std::vector<double> values, Values(columns[0]));
    for (const double value : values) {
      if (std::isnan(value)) {
        ++missing_;
        continue;
      }
      smallest_ = std::min(smallest_, value);
      largest_ = std::max(largest_, value);
      if (ordered()) {
        seen_.push_back(value);
      } else {
        // Welford's update.
        ++count_;
        const double delta = value - mean_;
        mean_ += delta / static_cast<double>(count_);
        squares_ += delta * (value - mean_);
      }
    }
    return absl::OkStatus();
  }

  absl::Status Finish() override {
    info_.set_missing(missing_);
    if (!(smallest_ < largest_)) {
      TORII_WARNING(
          *file_, ": feature \"", info_.name(),
          smallest_ == largest_ ? "\" has the same value in all rows" : "\" is missing in all rows",
          ": it tells the model nothing");
    }
    if (!ordered()) {
      const double variance = count_ > 0 ? squares_ / static_cast<double>(count_) : 0;
      info_.set_mean(mean_);
      info_.set_stddev(std::sqrt(variance));
      const bool usable = std::isfinite(mean_) && std::isfinite(variance) && variance > 0;
      return usable || !(smallest_ < largest_) ? absl::OkStatus() : TooWide();
    }
    if (!std::isfinite(largest_ - smallest_) && smallest_ < largest_) {
      return TooWide();
    }
    std::sort(seen_.begin(), seen_.end());
    if (buckets()) {
      FinishBuckets();
    } else {
      for (int i = 0; i <= config_.buckets() && !seen_.empty(); ++i) {
        info_.add_quantile(QuantileAt(static_cast<double>(i) / config_.buckets()));
      }
    }
    std::vector<double>().swap(seen_);
    return absl::OkStatus();
  }

  absl::Status Encode(std::span<const Column> columns, EncodedRows* out) const override {
    TORII_ASSIGN_OR_RETURN(const std::vector<double> values, Values(columns[0]));
    for (const double value : values) {
      if (std::isnan(value)) {
        EncodeMissing(out);
      } else if (buckets()) {
        const auto& edges = info_.quantile();
        const auto above = std::upper_bound(edges.begin(), edges.end(), value) - edges.begin();
        out->values.push_back(static_cast<int32_t>(above) + 1);
      } else if (config_.transform() == Numeric::QUANTILE) {
        const double q = RankOf(value);
        Add({q, q * q, std::sqrt(q), 0}, out);
      } else {
        const double scaled = (value - info_.mean()) / info_.stddev();
        Add({smallest_ < largest_ ? scaled : 0, 0}, out);
      }
    }
    return absl::OkStatus();
  }

  void EncodeMissing(EncodedRows* out) const override {
    if (buckets()) {
      out->values.push_back(0);
    } else if (config_.transform() == Numeric::QUANTILE) {
      Add({0, 0, 0, 1}, out);
    } else {
      Add({0, 1}, out);
    }
  }

  const PreparedFeature& info() const override { return info_; }

 private:
  absl::Status TooWide() const {
    return DataError(absl::StrCat(*file_, ": feature \"", info_.name(),
                                  "\": the mean and deviation of its values, from ", smallest_,
                                  " to ", largest_,
                                  ", cannot be held in float64; use transform: QUANTILE, or scale "
                                  "the column"));
  }

  bool buckets() const { return config_.transform() == Numeric::BUCKETS; }
  bool ordered() const { return buckets() || config_.transform() == Numeric::QUANTILE; }

  static void Add(std::initializer_list<double> values, EncodedRows* out) {
    for (const double value : values) {
      out->dense.push_back(static_cast<float>(value));
    }
  }

  // The numbers of the column, after log1p if that is asked for.
  absl::StatusOr<std::vector<double>> Values(const Column& column) const {
    TORII_ASSIGN_OR_RETURN(std::vector<double> values, ReadNumbers(column));
    if (config_.transform() == Numeric::LOG1P) {
      for (size_t i = 0; i < values.size(); ++i) {
        if (values[i] <= -1) {
          return CellError(column, static_cast<int64_t>(i),
                           absl::StrCat("value ", values[i], " has no log1p (needs > -1); use ",
                                        "transform: STANDARDIZE or QUANTILE"));
        }
        values[i] = std::log1p(values[i]);
      }
    }
    return values;
  }

  // Quantile of the sorted values by linear interpolation between neighbours.
  double QuantileAt(double q) const {
    const double place = q * static_cast<double>(seen_.size() - 1);
    const size_t below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, seen_.size() - 1);
    return seen_[below] + (place - static_cast<double>(below)) * (seen_[above] - seen_[below]);
  }

  // Distinct inner edges: values equal to an edge go into the bucket above it.
  void FinishBuckets() {
    for (int i = 1; i < config_.buckets() && !seen_.empty(); ++i) {
      const double edge = QuantileAt(static_cast<double>(i) / config_.buckets());
      const int n = info_.quantile_size();
      if (edge > seen_.front() && (n == 0 || edge > info_.quantile(n - 1))) {
        info_.add_quantile(edge);
      }
    }
    info_.set_rows(info_.quantile_size() + 2);
  }

  // Inverse of the stored quantiles by linear interpolation; in the middle of a run of equal ones.
  double RankOf(double value) const {
    const auto& q = info_.quantile();
    const double last = q.size() - 1;
    const auto [lower, upper] = std::equal_range(q.begin(), q.end(), value);
    if (lower != upper) {
      const double middle =
          0.5 * static_cast<double>((lower - q.begin()) + (upper - q.begin() - 1));
      return middle / last;
    }
    if (lower == q.begin()) {
      return 0;
    }
    if (lower == q.end()) {
      return 1;
    }
    const double below = *(lower - 1);
    const double fraction = (value - below) / (*lower - below);
    return (static_cast<double>(lower - q.begin() - 1) + fraction) / last;
  }

  const Numeric config_;
  PreparedFeature info_;
  std::shared_ptr<const std::string> file_ = std::make_shared<const std::string>();
  double smallest_ = std::numeric_limits<double>::infinity();
  double largest_ = -std::numeric_limits<double>::infinity();
  int64_t missing_ = 0;
  int64_t count_ = 0;
  double mean_ = 0;
  double squares_ = 0;
  std::vector<double> seen_;
};

}  // namespace

std::unique_ptr<FeatureEncoder> MakeNumericEncoder(const Feature& feature) {
  return std::make_unique<NumericEncoder>(feature);
}

}  // namespace torii::data
