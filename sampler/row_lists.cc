#include "sampler/row_lists.h"

#include <algorithm>

namespace torii::sampler {
namespace {

// Draws tried for each negative.
constexpr uint64_t kTries = 32;

}  // namespace

void AppendRowList(const ItemDraw& draw, const RandomStream& stream, const RowOfList& row,
                   int64_t per_row, std::vector<int64_t>* items) {
  const auto is_known = [&](int64_t item) {
    return item == row.positive ||
           std::find(row.known.begin(), row.known.end(), item) != row.known.end();
  };
  for (int64_t k = 0; k < per_row; ++k) {
    const auto first = static_cast<uint64_t>(row.position * per_row + k) * kTries;
    int64_t item = draw.Draw(stream, first);
    uint64_t tried = 1;
    while (is_known(item) && tried < kTries) item = draw.Draw(stream, first + tried++);
    items->push_back(is_known(item) ? -1 : item);
  }
}

}  // namespace torii::sampler
