#include "data/mapped_features.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "data/for_each_row_ahead.h"

namespace torii::data {
namespace {

// Texts of all rows, back to back.
struct MappedTexts {
  MappedArray<int64_t> offsets;
  MappedArray<uint8_t> bytes;

  std::string_view operator[](int64_t row) const {
    return {reinterpret_cast<const char*>(bytes.values.data()) + offsets[row],
            static_cast<size_t>(offsets[row + 1] - offsets[row])};
  }
};

absl::StatusOr<MappedTexts> OpenTexts(const MappedFolder& folder, SideKind kind,
                                      const std::string& what, int64_t rows) {
  MappedTexts texts;
  TORII_ASSIGN_OR_RETURN(
      texts.offsets, folder.Open<int64_t>(SideArrayFile(kind, what + ".offsets.i64"), rows + 1));
  TORII_ASSIGN_OR_RETURN(texts.bytes, folder.Open<uint8_t>(SideArrayFile(kind, what + ".bytes.u8"),
                                                           MappedFolder::kAnyCount));
  TORII_RETURN_IF_ERROR(CheckOffsets(texts.offsets, texts.bytes.size()));
  return texts;
}

// The arrays of one feature; those that its kind lacks are empty.
struct FeatureArrays {
  MappedArray<int64_t> offsets;
  MappedArray<int32_t> values;
  MappedArray<float> numbers;
};

absl::StatusOr<FeatureArrays> OpenFeature(const MappedFolder& folder, SideKind kind, int index,
                                          const PreparedFeature& feature, int64_t rows) {
  FeatureArrays arrays;
  switch (feature.kind()) {
    case PreparedFeature::BAG: {
      TORII_ASSIGN_OR_RETURN(
          arrays.offsets, folder.Open<int64_t>(FeatureFile(kind, index, "offsets.i64"), rows + 1));
      TORII_ASSIGN_OR_RETURN(
          arrays.values,
          folder.Open<int32_t>(FeatureFile(kind, index, "values.i32"), MappedFolder::kAnyCount));
      TORII_RETURN_IF_ERROR(CheckOffsets(arrays.offsets, arrays.values.size()));
      TORII_RETURN_IF_ERROR(CheckRows(arrays.values, feature.rows()));
      break;
    }
    case PreparedFeature::SINGLE: {
      TORII_ASSIGN_OR_RETURN(arrays.values,
                             folder.Open<int32_t>(FeatureFile(kind, index, "values.i32"), rows));
      TORII_RETURN_IF_ERROR(CheckRows(arrays.values, feature.rows()));
      break;
    }
    case PreparedFeature::DENSE: {
      TORII_ASSIGN_OR_RETURN(arrays.numbers,
                             folder.Open<float>(FeatureFile(kind, index, "values.f32"),
                                                rows * std::max(0, feature.width())));
      TORII_RETURN_IF_ERROR(CheckNumbers(arrays.numbers, Sign::kAny));
      break;
    }
  }
  return arrays;
}

void GatherSingle(const FeatureArrays& arrays, std::span<const int64_t> rows, Bags& out) {
  const int32_t* values = arrays.values.values.data();
  out.values.resize(rows.size());
  ForEachRowAhead(
      rows, [values](int64_t row) { __builtin_prefetch(values + row); },
      [values, &out](size_t i, int64_t row) { out.values[i] = values[row]; });
}

void GatherBags(const FeatureArrays& arrays, std::span<const int64_t> rows, Bags& out) {
  const int64_t* offsets = arrays.offsets.values.data();
  const int32_t* values = arrays.values.values.data();
  out.offsets.resize(rows.size() + 1);
  out.offsets[0] = 0;
  ForEachRowAhead(
      rows, [offsets](int64_t row) { __builtin_prefetch(offsets + row); },
      [offsets, &out](size_t i, int64_t row) {
        out.offsets[i + 1] = out.offsets[i] + offsets[row + 1] - offsets[row];
      });
  out.values.resize(static_cast<size_t>(out.offsets.back()));
  // By now the offsets are in the cache.
  ForEachRowAhead(
      rows, [offsets, values](int64_t row) { __builtin_prefetch(values + offsets[row]); },
      [offsets, values, &out](size_t i, int64_t row) {
        std::copy(values + offsets[row], values + offsets[row + 1],
                  out.values.data() + out.offsets[i]);
      });
}

void GatherDense(const FeatureArrays& arrays, size_t width, std::span<const int64_t> rows,
                 std::vector<float>& out) {
  constexpr size_t kLine = 64 / sizeof(float);
  const float* numbers = arrays.numbers.values.data();
  out.resize(rows.size() * width);
  ForEachRowAhead(
      rows,
      [numbers, width](int64_t row) {
        const float* begin = numbers + static_cast<size_t>(row) * width;
        for (size_t k = 0; k < width; k += kLine) __builtin_prefetch(begin + k);
      },
      [numbers, width, &out](size_t i, int64_t row) {
        std::copy_n(numbers + static_cast<size_t>(row) * width, width, out.data() + i * width);
      });
}

class MappedFeatures final : public Features {
 public:
  MappedFeatures(SideKind kind, const Side& side) : kind_(kind), side_(side) {}

  absl::Status Open(const MappedFolder& folder);

  int64_t rows() const override { return side_.rows(); }
  std::span<const PreparedFeature> info() const override { return info_; }
  FeatureRows Gather(std::span<const int64_t> rows, std::span<const int> which) const override;
  std::string Id(int64_t row) const override {
    CheckRow(row);
    return has_integer_ids() ? absl::StrCat(integer_ids_[row]) : std::string(text_ids_[row]);
  }
  std::string Title(int64_t row) const override {
    CheckRow(row);
    if (side_.has_titles() && !titles_[row].empty()) return std::string(titles_[row]);
    return Id(row);
  }
  int64_t IntegerId(int64_t row) const override {
    CheckRow(row);
    TORII_CHECK(has_integer_ids(), std::string(SideName(kind_)), " have text ids");
    return integer_ids_[row];
  }
  bool has_integer_ids() const override { return side_.id_type() == INTEGER; }
  std::optional<int64_t> FindRow(const std::string& id) const override;

 private:
  absl::Status OpenIds(const MappedFolder& folder);
  // The row of `wanted` by binary search; `id_of(row)` rises along id_order_.
  template <typename Key, typename IdOf>
  std::optional<int64_t> Find(const Key& wanted, const IdOf& id_of) const;
  // kData unless the ids rise strictly along id_order_, which also makes it a permutation.
  template <typename IdOf>
  absl::Status CheckOrder(const IdOf& id_of) const;
  void CheckRow(int64_t row) const {
    TORII_CHECK(row >= 0 && row < rows(), "row ", row, " of ", rows(), " ",
                std::string(SideName(kind_)));
  }

  SideKind kind_;
  const Side& side_;
  std::vector<PreparedFeature> info_;
  std::vector<FeatureArrays> features_;
  MappedArray<int64_t> integer_ids_;
  MappedTexts text_ids_;
  MappedTexts titles_;
  MappedArray<int32_t> id_order_;
};

absl::Status MappedFeatures::Open(const MappedFolder& folder) {
  if (rows() < 0 || rows() > std::numeric_limits<int32_t>::max()) {
    return DataError(absl::StrCat("the dataset's metadata says ", rows(), " ",
                                  std::string(SideName(kind_)), "; run `torii prepare` again"));
  }
  TORII_RETURN_IF_ERROR(OpenIds(folder));
  if (side_.has_titles()) {
    TORII_ASSIGN_OR_RETURN(titles_, OpenTexts(folder, kind_, "titles", rows()));
  }
  for (int k = 0; k < side_.feature_size(); ++k) {
    info_.push_back(side_.feature(k));
    TORII_ASSIGN_OR_RETURN(FeatureArrays arrays,
                           OpenFeature(folder, kind_, k, side_.feature(k), rows()));
    features_.push_back(std::move(arrays));
  }
  return absl::OkStatus();
}

absl::Status MappedFeatures::OpenIds(const MappedFolder& folder) {
  TORII_ASSIGN_OR_RETURN(id_order_,
                         folder.Open<int32_t>(SideArrayFile(kind_, "id_order.i32"), rows()));
  TORII_RETURN_IF_ERROR(CheckRows(id_order_, rows()));
  if (has_integer_ids()) {
    TORII_ASSIGN_OR_RETURN(integer_ids_,
                           folder.Open<int64_t>(SideArrayFile(kind_, "ids.i64"), rows()));
    return CheckOrder([this](int64_t row) { return integer_ids_[row]; });
  }
  TORII_ASSIGN_OR_RETURN(text_ids_, OpenTexts(folder, kind_, "ids", rows()));
  return CheckOrder([this](int64_t row) { return text_ids_[row]; });
}

template <typename IdOf>
absl::Status MappedFeatures::CheckOrder(const IdOf& id_of) const {
  for (int64_t i = 1; i < rows(); ++i) {
    if (!(id_of(id_order_[i - 1]) < id_of(id_order_[i]))) {
      return BadValue(id_order_, i, "a row whose id is not above the one before");
    }
  }
  return absl::OkStatus();
}

FeatureRows MappedFeatures::Gather(std::span<const int64_t> rows,
                                   std::span<const int> which) const {
  for (const int64_t row : rows) CheckRow(row);
  FeatureRows result;
  result.n = static_cast<int64_t>(rows.size());
  result.bags.resize(info_.size());
  result.dense.resize(info_.size());
  for (const int feature : which) {
    const size_t k = static_cast<size_t>(feature);
    TORII_CHECK(k < info_.size(), "feature ", feature, " of ", info_.size());
    switch (info_[k].kind()) {
      case PreparedFeature::SINGLE:
        GatherSingle(features_[k], rows, result.bags[k]);
        break;
      case PreparedFeature::BAG:
        GatherBags(features_[k], rows, result.bags[k]);
        break;
      case PreparedFeature::DENSE:
        GatherDense(features_[k], static_cast<size_t>(info_[k].width()), rows, result.dense[k]);
        break;
    }
  }
  return result;
}

template <typename Key, typename IdOf>
std::optional<int64_t> MappedFeatures::Find(const Key& wanted, const IdOf& id_of) const {
  const auto at =
      std::lower_bound(id_order_.values.begin(), id_order_.values.end(), wanted,
                       [&id_of](int32_t row, const Key& id) { return id_of(row) < id; });
  if (at == id_order_.values.end() || id_of(*at) != wanted) return std::nullopt;
  return *at;
}

std::optional<int64_t> MappedFeatures::FindRow(const std::string& id) const {
  if (!has_integer_ids()) {
    return Find(std::string_view(id), [this](int64_t row) { return text_ids_[row]; });
  }
  int64_t number = 0;
  const char* end = id.data() + id.size();
  const std::from_chars_result parsed = std::from_chars(id.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return Find(number, [this](int64_t row) { return integer_ids_[row]; });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Features>> OpenFeatures(const MappedFolder& folder, SideKind kind,
                                                       const Side& side) {
  auto features = std::make_unique<MappedFeatures>(kind, side);
  TORII_RETURN_IF_ERROR(features->Open(folder));
  return features;
}

}  // namespace torii::data
