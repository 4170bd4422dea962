#include "data/mapped_folder.h"

#include <algorithm>
#include <cmath>

namespace torii::data {

MappedFolder::MappedFolder(FileSystem& files, std::string folder, const PreparedDataset& meta)
    : files_(files), folder_(std::move(folder)) {
  for (const PreparedFile& file : meta.file()) listed_.insert(file.name());
}

absl::Status MappedFolder::CheckListed(const std::string& name) const {
  if (listed_.contains(name)) return absl::OkStatus();
  return DataError(absl::StrCat(JoinPath(folder_, name),
                                ": is not listed in the dataset's metadata; "
                                "run `torii prepare` again"));
}

absl::Status CheckRows(const MappedArray<int32_t>& array, int64_t limit) {
  const auto bad = std::find_if(array.values.begin(), array.values.end(),
                                [limit](int32_t row) { return row < 0 || row >= limit; });
  if (bad == array.values.end()) return absl::OkStatus();
  return BadValue(array, bad - array.values.begin(), absl::StrCat("not a row in [0, ", limit, ")"));
}

absl::Status CheckOffsets(const MappedArray<int64_t>& offsets, int64_t end) {
  if (offsets.size() == 0) {
    return DataError(absl::StrCat(offsets.path, ": has no values; run `torii prepare` again"));
  }
  if (offsets[0] != 0) return BadValue(offsets, 0, "expected 0");
  for (int64_t i = 1; i < offsets.size(); ++i) {
    if (offsets[i] < offsets[i - 1]) {
      return BadValue(offsets, i, absl::StrCat("below the value before it, ", offsets[i - 1]));
    }
  }
  if (offsets[offsets.size() - 1] != end) {
    return BadValue(offsets, offsets.size() - 1, absl::StrCat("expected ", end));
  }
  return absl::OkStatus();
}

absl::Status CheckNumbers(const MappedArray<float>& array, Sign sign) {
  const auto bad = std::find_if(array.values.begin(), array.values.end(), [sign](float x) {
    return !std::isfinite(x) || (sign == Sign::kNotNegative && x < 0);
  });
  if (bad == array.values.end()) return absl::OkStatus();
  return BadValue(array, bad - array.values.begin(),
                  sign == Sign::kAny ? "expected a finite number" : "expected a number from 0");
}

}  // namespace torii::data
