// The plan of placement: which partition each table of a model gets. Pure functions of sizes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/partition.h"
#include "sharding/sharding.pb.h"

namespace torii::sharding {

// What a model needs of a table.
struct TableNeed {
  std::string name;
  int64_t rows = 0;
  int64_t width = 0;
  TableConfig config;
  int64_t lookups = 0;  // rows that one rank asks in a step, repeats counted
  // One row for each user or item: the table grows with the data.
  bool grows = false;
};

struct PlacedTable {
  Partition::Kind kind = Partition::Kind::kRowModWorld;
  int64_t bytes = 0;  // of weights and optimizer state on the rank that holds most
};

// Bytes of one row with its optimizer state.
int64_t BytesOfRow(const TableConfig& config, int64_t width);

// In the order of `needs`. A placement that the configuration names is taken. AUTO means row mod W,
// with one exception: on several ranks, all AUTO tables of one width are replicated together if
// none of them grows, if no table of that width needs the exchange of rows anyway, if the copies
// stay small, and if a step then costs less (bytes moved, and a fixed price for each exchange).
std::vector<PlacedTable> PlanTables(std::span<const TableNeed> needs, int world_size);

// One line for each table, under a line of headings: name, rows, width, placement, optimizer, bytes
// per rank.
std::vector<std::string> DescribePlan(std::span<const TableNeed> needs,
                                      std::span<const PlacedTable> plan);

}  // namespace torii::sharding
