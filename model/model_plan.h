// Which inputs each tower has and which embedding tables they read: derived from the configuration
// and from what the data offers, before any weight exists.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/model.pb.h"

namespace torii::model {

// A feature of the data, in words of this layer.
struct FeatureShape {
  enum Kind { kBag, kSingle, kDense };
  std::string name;
  Kind kind = kBag;
  int64_t rows = 0;     // embedding rows (kBag, kSingle)
  int64_t width = 0;    // floats (kDense)
  bool vector = false;  // kDense given to a linear layer of its own
};

struct SideShape {
  int64_t rows = 0;  // users or items
  std::vector<FeatureShape> features;
};

// An embedding table: `rows` rows of `dim` floats.
struct TableShape {
  std::string name;  // "user_id", "item_id", "history", "user.city", "item.genres"
  int64_t rows = 0;
  int64_t dim = 0;
};

// One input of a tower.
struct TowerSource {
  enum Kind {
    kId,       // one row per user or item: the id itself
    kSingle,   // one row: feature `feature`
    kBag,      // pooled rows: feature `feature`
    kHistory,  // a sequence of rows: the user's last items
    kDense,   // floats: feature `feature`, as they are, or through a linear layer if the join wants
              // all inputs in one width
    kVector,  // floats: feature `feature`, through a linear layer
  };
  Kind kind = kId;
  std::string name;
  int feature = -1;         // index into SideShape::features
  int table = -1;           // index into ModelPlan::tables; -1 for kDense, kVector
  int64_t width = 0;        // floats per row of the input (kDense, kVector) or embedding width
  int64_t output = 0;       // width of the vector that its encoder gives
  bool has_linear = false;  // kDense, kVector: through a linear layer
};

struct TowerPlan {
  std::string side;  // "user" or "item"
  std::vector<TowerSource> sources;
  int64_t embedding_dim = 0;
  int64_t joined_width = 0;  // of the joined inputs
  int64_t trunk_width = 0;   // of what the tower's own trunk gives
  bool has_linear_head = true;
};

struct ModelPlan {
  std::vector<TableShape> tables;  // "item_id" first if there is one, then "user_id", then the rest
  TowerPlan user;
  TowerPlan item;
  int item_id_table = -1;  // index into tables, -1 if the item tower has no id
};

// Errors (kConfig): a named feature that the data lack (the message has the closest name), a tower
// without any input, a sum of inputs whose widths differ, a history of items, ...
absl::StatusOr<ModelPlan> MakePlan(const ModelConfig& config, const SideShape& users,
                                   const SideShape& items);

}  // namespace torii::model
