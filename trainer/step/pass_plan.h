// What a pass through a tower asks of the data and of the tables. Which features and which lookup
// serve its inputs is laid out once for each tower; the plan of a pass says which rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ATen/core/Tensor.h"
#include "base/partition.h"
#include "data/batch.h"
#include "data/dataset.h"
#include "kernels/device.h"
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
  size_t lookup = 0;   // into PassLayout::lookups
  TablePlace place;
};

struct PlannedFloats {
  size_t source = 0;
  size_t feature = 0;
  int64_t width = 0;
};

struct PassLayout {
  std::vector<int> features;            // of the data, that the tower reads
  std::vector<PlannedSource> embedded;  // in the order of the tower's sources, like `floats`
  std::vector<PlannedFloats> floats;
  std::vector<PlannedLookup> lookups;
};

// places: of each table of the model plan. owned: null, or the partition by which the rank that
// asks owns the ids of the pass; a table of ids that lies by the same partition then needs no
// exchange.
PassLayout LayOutPass(const model::TowerPlan& tower, std::span<const TablePlace> places,
                      const Partition* owned);

// The users or items of a pass. Borrowed.
struct PassRows {
  std::span<const int64_t> rows;              // [n]
  const data::Bags* history = nullptr;        // [n] lists; null: none
  std::span<const int64_t> dropout_key = {};  // [n], or empty: no dropout
};

// What the tower reads of the rows and their features, on its device. On a CPU the tensors look at
// the memory of the plan.
struct PassTensors {
  std::vector<at::Tensor> offsets;  // of each embedded source: [n + 1] int64, undefined if it has
                                    // one row for each
  std::vector<at::Tensor> floats;   // of each source of floats: [n, width] float32
  at::Tensor dropout_key;           // [n] int64; undefined: no dropout
};

// All that ids decide about a pass. Filled in place, and kept for its memory: it stays where it is,
// and what it borrows too, as long as a result of the pass is in use.
struct PassPlan {
  const PassLayout* layout = nullptr;
  PassRows rows;
  data::FeatureRows features;
  PassTensors tensors;
  std::vector<std::vector<int64_t>> keys;  // [lookups] the sources that share one, one behind the
                                           // other
  std::vector<sharding::Route> routes;     // [lookups]
};

// The features of the rows and the keys of the lookups, for `rows`. device: where the tower is.
void FillPass(const PassLayout& layout, const data::Features& features, const PassRows& rows,
              const kernels::Device& device, PassPlan* plan);

// The tower's input, which looks at the memory of the plan. fetched: the rows of each lookup.
model::TowerInput InputOf(const PassPlan& plan, std::span<const at::Tensor> fetched);

}  // namespace torii::trainer
