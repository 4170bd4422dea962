#include "trainer/step/pass_plan.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "kernels/host_tensors.h"

namespace torii::trainer {
namespace {

using model::TowerSource;

// The rows that a source asks of its table, as the data hold them.
struct AskedRows {
  std::span<const int64_t> values;                // [n], or [nnz] of lists
  const std::vector<int64_t>* offsets = nullptr;  // [n + 1] of lists
};

AskedRows RowsOf(const PlannedSource& source, const PassRows& rows,
                 const data::FeatureRows& features) {
  switch (source.kind) {
    case TowerSource::kId:
      return {rows.rows};
    case TowerSource::kHistory:
      return {rows.history.values, &rows.history.offsets};
    case TowerSource::kBag:
      return {features.bags[source.feature].values, &features.bags[source.feature].offsets};
    default:
      return {features.bags[source.feature].values};
  }
}

// The lookup of (group, owned), a new one if the plan has none yet.
size_t LookupOf(int group, bool owned, std::vector<PlannedLookup>* lookups) {
  const auto same = [&](const PlannedLookup& l) { return l.group == group && l.owned == owned; };
  const auto found = std::find_if(lookups->begin(), lookups->end(), same);
  const auto number = static_cast<size_t>(found - lookups->begin());
  if (found == lookups->end()) lookups->push_back({group, owned});
  return number;
}

}  // namespace

PassPlan PlanPass(const model::TowerPlan& tower, std::span<const TablePlace> places,
                  const Partition* owned) {
  PassPlan plan;
  for (size_t s = 0; s < tower.sources.size(); ++s) {
    const TowerSource& source = tower.sources[s];
    if (source.feature >= 0) plan.features.push_back(source.feature);
    const auto feature = static_cast<size_t>(std::max(source.feature, 0));
    if (source.table < 0) {
      plan.floats.push_back({s, feature, source.width});
      continue;
    }
    const TablePlace& place = places[static_cast<size_t>(source.table)];
    const bool is_owned =
        owned != nullptr && source.kind == TowerSource::kId && place.partition() == *owned;
    plan.embedded.push_back(
        {s, source.kind, feature, LookupOf(place.group, is_owned, &plan.lookups), place});
  }
  return plan;
}

void FillKeys(const PassPlan& plan, const PassRows& rows, const data::FeatureRows& features,
              std::vector<std::vector<int64_t>>* keys) {
  keys->resize(std::max(keys->size(), plan.lookups.size()));
  for (std::vector<int64_t>& of_lookup : *keys) of_lookup.clear();
  for (const PlannedSource& source : plan.embedded) {
    std::vector<int64_t>& of_lookup = (*keys)[source.lookup];
    const std::span<const int64_t> asked = RowsOf(source, rows, features).values;
    of_lookup.resize(of_lookup.size() + asked.size());
    source.place.keys->Fill(source.place.table, asked, std::span(of_lookup).last(asked.size()));
  }
}

model::TowerInput InputOf(const PassPlan& plan, const PassRows& rows,
                          const data::FeatureRows& features,
                          std::span<const sharding::Lookup> lookups) {
  model::TowerInput input;
  input.n = static_cast<int64_t>(rows.rows.size());
  input.inputs.resize(plan.embedded.size() + plan.floats.size());
  std::vector<int64_t> begin(lookups.size(), 0);  // of the next source's keys in each lookup
  for (const PlannedSource& source : plan.embedded) {
    const sharding::Lookup& lookup = lookups[source.lookup];
    const AskedRows asked = RowsOf(source, rows, features);
    const auto count = static_cast<int64_t>(asked.values.size());
    const bool is_whole = lookup.route.index.numel() == count;
    model::EncoderInput& to = input.inputs[source.source];
    to.rows = lookup.rows;
    to.index =
        is_whole ? lookup.route.index : lookup.route.index.narrow(0, begin[source.lookup], count);
    if (asked.offsets) {
      to.offsets = kernels::ViewOf(*asked.offsets);
      to.begins = *asked.offsets;
    }
    begin[source.lookup] += count;
  }
  for (const PlannedFloats& floats : plan.floats) {
    input.inputs[floats.source].floats = kernels::ViewOf(
        std::span<const float>(features.dense[floats.feature]), input.n, floats.width);
  }
  if (!rows.dropout_key.empty()) input.dropout_key = kernels::ViewOf(rows.dropout_key);
  return input;
}

}  // namespace torii::trainer
