// What one pass through a tower asks of the data and of the tables: which features, and which
// lookup serves each embedded source. The plan is made once for each tower; a pass fills in the
// keys.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/partition.h"
#include "data/batch.h"
#include "data/dataset.h"
#include "model/model_plan.h"
#include "model/tower.h"
#include "sharding/table_group.h"

namespace torii::trainer {

// Where a table lies: its group, its number there, and the keys of the group.
struct TablePlace {
  int group = 0;
  int table = 0;
  const sharding::TableKeys* keys = nullptr;

  const Partition& partition() const { return keys->partition(table); }
};

// One call to a table group. The ids of rows that live on this rank need no exchange and go into a
// lookup of their own.
struct PlannedLookup {
  int group = 0;
  bool owned = false;
};

// An embedded source of the tower and the lookup that brings its rows.
struct PlannedSource {
  size_t source = 0;  // of the tower's
  model::TowerSource::Kind kind = model::TowerSource::kId;
  size_t feature = 0;  // of kSingle and kBag
  size_t lookup = 0;   // into PassPlan::lookups
  TablePlace place;
};

struct PlannedFloats {
  size_t source = 0;
  size_t feature = 0;
  int64_t width = 0;
};

struct PassPlan {
  std::vector<int> features;            // of the data, that the tower reads
  std::vector<PlannedSource> embedded;  // in the order of the tower's sources, like `floats`
  std::vector<PlannedFloats> floats;
  std::vector<PlannedLookup> lookups;
};

// places: of each table of the model plan. owned: null, or the partition by which the rank that
// asks owns the ids of the pass; a table of ids that lies by the same partition then needs no
// exchange.
PassPlan PlanPass(const model::TowerPlan& tower, std::span<const TablePlace> places,
                  const Partition* owned);

// The users or items of a pass.
struct PassRows {
  const data::Features& features;
  std::span<const int64_t> rows;  // [n] users or items
  const data::Bags& history;
  std::span<const int64_t> dropout_key;  // [n], or empty: no dropout
};

// keys[l]: what lookup l asks, the sources that share it one behind the other. Memory is kept.
void FillKeys(const PassPlan& plan, const PassRows& rows, const data::FeatureRows& features,
              std::vector<std::vector<int64_t>>* keys);

// The tower's input, which looks at the memory of all arguments but the plan.
model::TowerInput InputOf(const PassPlan& plan, const PassRows& rows,
                          const data::FeatureRows& features,
                          std::span<const sharding::Lookup> lookups);

}  // namespace torii::trainer
