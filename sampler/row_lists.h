// Negatives drawn for single rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"
#include "sampler/source.h"

namespace torii::sampler {

// A row that gets negatives: which items they may not be, and which random numbers it uses.
struct RowOfList {
  int64_t positive = 0;            // item row
  std::span<const int32_t> known;  // item rows in any order
  int64_t position = 0;            // of the row in the epoch
};

// Appends `per_row` item rows that are neither the row's positive nor known; repeats are allowed.
// They are a pure function of (stream, position), whatever rank the row is on. Each negative gets
// 32 draws; -1 if all of them hit known items: the row knows nearly every item that the source
// draws.
void AppendRowList(const ItemDraw& draw, const RandomStream& stream, const RowOfList& row,
                   int64_t per_row, std::vector<int64_t>* items);

}  // namespace torii::sampler
