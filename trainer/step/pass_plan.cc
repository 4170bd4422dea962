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

AskedRows RowsOf(const PlannedSource& source, const PassPlan& plan) {
  switch (source.kind) {
    case TowerSource::kId:
      return {plan.rows.rows};
    case TowerSource::kHistory:
      return {plan.rows.history->values, &plan.rows.history->offsets};
    case TowerSource::kBag:
      return {plan.features.bags[source.feature].values,
              &plan.features.bags[source.feature].offsets};
    default:
      return {plan.features.bags[source.feature].values};
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

PassTensors TensorsOf(const PassPlan& plan, const kernels::Device& device) {
  PassTensors tensors;
  for (const PlannedSource& source : plan.layout->embedded) {
    const AskedRows asked = RowsOf(source, plan);
    tensors.offsets.push_back(asked.offsets ? kernels::ReadableOn(device, *asked.offsets)
                                            : at::Tensor());
  }
  const int64_t n = std::ssize(plan.rows.rows);
  for (const PlannedFloats& floats : plan.layout->floats) {
    tensors.floats.push_back(kernels::ReadableOn(
        device, std::span<const float>(plan.features.dense[floats.feature]), n, floats.width));
  }
  if (!plan.rows.dropout_key.empty()) {
    tensors.dropout_key = kernels::ReadableOn(device, plan.rows.dropout_key);
  }
  return tensors;
}

}  // namespace

PassLayout LayOutPass(const model::TowerPlan& tower, std::span<const TablePlace> places,
                      const Partition* owned) {
  PassLayout layout;
  for (size_t s = 0; s < tower.sources.size(); ++s) {
    const TowerSource& source = tower.sources[s];
    if (source.feature >= 0) layout.features.push_back(source.feature);
    const auto feature = static_cast<size_t>(std::max(source.feature, 0));
    if (source.table < 0) {
      layout.floats.push_back({s, feature, source.width});
      continue;
    }
    const TablePlace& place = places[static_cast<size_t>(source.table)];
    const bool is_owned =
        owned != nullptr && source.kind == TowerSource::kId && place.partition() == *owned;
    layout.embedded.push_back(
        {s, source.kind, feature, LookupOf(place.group, is_owned, &layout.lookups), place});
  }
  return layout;
}

void FillPass(const PassLayout& layout, const data::Features& features, const PassRows& rows,
              const kernels::Device& device, PassPlan* plan) {
  plan->layout = &layout;
  plan->rows = rows;
  plan->features = features.Gather(rows.rows, layout.features);
  plan->tensors = TensorsOf(*plan, device);
  plan->keys.resize(layout.lookups.size());
  for (std::vector<int64_t>& of_lookup : plan->keys) of_lookup.clear();
  for (const PlannedSource& source : layout.embedded) {
    std::vector<int64_t>& of_lookup = plan->keys[source.lookup];
    const std::span<const int64_t> asked = RowsOf(source, *plan).values;
    of_lookup.resize(of_lookup.size() + asked.size());
    source.place.keys->Fill(source.place.table, asked, std::span(of_lookup).last(asked.size()));
  }
}

model::TowerInput InputOf(const PassPlan& plan, std::span<const at::Tensor> fetched) {
  const PassLayout& layout = *plan.layout;
  model::TowerInput input;
  input.n = std::ssize(plan.rows.rows);
  input.inputs.resize(layout.embedded.size() + layout.floats.size());
  std::vector<int64_t> begin(fetched.size(), 0);  // of the next source's keys in each lookup
  for (size_t e = 0; e < layout.embedded.size(); ++e) {
    const PlannedSource& source = layout.embedded[e];
    const sharding::Route& route = plan.routes[source.lookup];
    const at::Tensor& index = route.index;
    const AskedRows asked = RowsOf(source, plan);
    const int64_t count = std::ssize(asked.values);
    model::EncoderInput& to = input.inputs[source.source];
    to.rows = fetched[source.lookup];
    if (index.numel() != count) {
      to.index = index.narrow(0, begin[source.lookup], count);
    } else if (!route.one_row_each || asked.offsets) {
      to.index = index;
    }
    to.offsets = plan.tensors.offsets[e];
    if (asked.offsets) to.begins = *asked.offsets;
    begin[source.lookup] += count;
  }
  for (size_t f = 0; f < layout.floats.size(); ++f) {
    input.inputs[layout.floats[f].source].floats = plan.tensors.floats[f];
  }
  input.dropout_key = plan.tensors.dropout_key;
  return input;
}

}  // namespace torii::trainer
