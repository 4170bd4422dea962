// The columns of the interactions that the configuration names, and where each is in a chunk.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "data/data.pb.h"
#include "data/read/column_values.h"
#include "data/read/table_reader.h"

namespace torii::data {

struct InteractionColumns {
  std::vector<std::string> names;
  // -1: not read.
  int user = -1;
  int item = -1;
  int time = -1;
  int rating = -1;
  int weight = -1;
  int weight_key = -1;  // the column of weight_map

  // `where`: the columns that the condition names.
  InteractionColumns(const InteractionFiles& config, const std::vector<std::string>& where) {
    user = Add(config.user());
    item = Add(config.item());
    if (!config.time().empty()) {
      time = Add(config.time());
    }
    if (!config.rating().empty() && (config.has_min_rating() || config.rating_as_weight())) {
      rating = Add(config.rating());
    }
    if (!config.weight().empty()) {
      weight = Add(config.weight());
    }
    if (config.has_weight_map()) {
      weight_key = Add(config.weight_map().column());
    }
    for (const std::string& column : where) {
      Add(column);
    }
  }
  Column Of(const TableChunk& chunk, int index) const {
    return ColumnOf(chunk, static_cast<size_t>(index), names[static_cast<size_t>(index)]);
  }
  // `name` is one of `names`.
  Column Of(const TableChunk& chunk, const std::string& name) const {
    return Of(chunk, static_cast<int>(std::find(names.begin(), names.end(), name) - names.begin()));
  }

 private:
  int Add(const std::string& name) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      names.push_back(name);
      return static_cast<int>(names.size()) - 1;
    }
    return static_cast<int>(found - names.begin());
  }
};

}  // namespace torii::data
