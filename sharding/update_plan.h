// Which gradient rows a step adds up for which table row, and in which order.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/touched_rows.h"
#include "sharding/route.h"

namespace torii::sharding {

// Made by TableGroup::PlanUpdate from the routes of a step's lookups, before any gradient exists.
// A value to keep: the next plan reuses its memory.
struct UpdatePlan {
  // A run of gradient rows that lie one behind the other, in the order in which rows are summed.
  struct Piece {
    size_t lookup = 0;      // whose gradients, as they are at the owner
    int64_t first_row = 0;  // of those
  };

  std::vector<const Route*> routes;  // of the lookups, in their order; borrowed
  kernels::TouchedRows touched;
  std::vector<Piece> pieces;
  // Replicated tables: the slots that the lookups of all ranks touch, and how many of each rank.
  std::vector<int64_t> slots;
  std::vector<int64_t> rank_rows;
};

}  // namespace torii::sharding
