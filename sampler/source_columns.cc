#include "sampler/source_columns.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "kernels/host_tensors.h"
#include "sampler/distinct_columns.h"
#include "sampler/distinct_items.h"

namespace torii::sampler {
namespace {

using From = Drawn::From;

// Every item of the corpus, in the order of the columns.
Columns CorpusColumns(const StepPositives& positives, const Partition& corpus) {
  Columns columns;
  std::vector<int64_t> owner_begin;
  for (int owner = 0; owner < corpus.world_size(); ++owner) {
    owner_begin.push_back(static_cast<int64_t>(columns.items.size()));
    const int64_t owned = corpus.OwnedRows(owner);
    for (int64_t slot = 0; slot < owned; ++slot) columns.items.push_back(corpus.Row(owner, slot));
    columns.owner_counts.push_back(owned);
  }
  for (const int64_t item : positives.items) {
    const auto owner = static_cast<size_t>(corpus.Owner(item));
    columns.of_positive.push_back(owner_begin[owner] + corpus.Slot(item));
  }
  return columns;
}

// What the sources draw at a step.
struct DrawnStep {
  std::vector<Drawn> of_source;  // [S]
  std::vector<int64_t> items;    // of all sources that draw items, one source behind the other

  bool Any(From from) const {
    return std::any_of(of_source.begin(), of_source.end(),
                       [from](const Drawn& drawn) { return drawn.from == from; });
  }
};

DrawnStep DrawStep(std::span<const std::unique_ptr<Source>> sources, int64_t step) {
  DrawnStep drawn;
  for (const auto& source : sources) {
    drawn.of_source.push_back(source->Draw(step));
    const Drawn& last = drawn.of_source.back();
    if (last.from == From::kItems) {
      drawn.items.insert(drawn.items.end(), last.items.begin(), last.items.end());
    }
  }
  return drawn;
}

// The columns of remembered items: those of the step where it has them, else new ones behind all
// columns so far.
std::vector<int64_t> PastColumnsOf(const Drawn& drawn, SourceColumns* columns) {
  DistinctItems column_of(columns->items.size() + columns->past_items.size() + drawn.items.size());
  for (const int64_t item : columns->items) column_of.Insert(item);
  for (const int64_t item : columns->past_items) column_of.Insert(item);
  std::vector<int64_t> of_drawn;
  for (size_t i = 0; i < drawn.items.size(); ++i) {
    const auto known = std::ssize(column_of.items());
    of_drawn.push_back(column_of.Insert(drawn.items[i]));
    if (of_drawn.back() < known) continue;
    columns->past_items.push_back(drawn.items[i]);
    columns->past_slots.push_back(drawn.slots[i]);
  }
  return of_drawn;
}

// The columns that each source drew, repeats counted. Adds the past columns.
std::vector<std::vector<int64_t>> DrawnColumns(const DrawnStep& drawn, const Range& own,
                                               std::span<const int64_t> of_items,
                                               SourceColumns* columns) {
  const std::vector<int64_t>& of_positive = columns->of_positive;
  std::vector<std::vector<int64_t>> all;
  for (const Drawn& source : drawn.of_source) {
    std::vector<int64_t>& of_source = all.emplace_back();
    switch (source.from) {
      case From::kItems:
        of_source.assign(of_items.begin(), of_items.begin() + std::ssize(source.items));
        of_items = of_items.subspan(source.items.size());
        break;
      case From::kPositives:
        of_source = of_positive;
        break;
      case From::kOwnPositives:
        of_source.assign(of_positive.begin() + own.begin, of_positive.begin() + own.end);
        break;
      case From::kCorpus:
        of_source.resize(columns->items.size());
        std::iota(of_source.begin(), of_source.end(), 0);
        break;
      case From::kPast:
        of_source = PastColumnsOf(source, columns);
        break;
    }
  }
  return all;
}

// Keeps what this rank's rows see of the columns: their own positives and what the sources drew for
// them. Gives the new number of every column, -1: not seen.
std::vector<int64_t> KeepSeen(std::span<const std::vector<int64_t>> drawn, SourceColumns* columns) {
  const size_t of_step = columns->items.size();
  std::vector<int64_t> number(of_step + columns->past_items.size(), -1);
  for (const int64_t c : columns->positive) number[static_cast<size_t>(c)] = 0;
  for (const std::vector<int64_t>& of_source : drawn) {
    for (const int64_t c : of_source) number[static_cast<size_t>(c)] = 0;
  }
  int64_t next = 0;
  for (size_t c = 0; c < number.size(); ++c) {
    if (number[c] < 0) continue;
    number[c] = next++;
    if (c < of_step) columns->seen.push_back(static_cast<int64_t>(c));
  }
  columns->sees_all = false;
  return number;
}

std::vector<int64_t> SeenItems(const SourceColumns& columns) {
  std::vector<int64_t> items;
  items.reserve(columns.items.size() + columns.past_items.size());
  if (columns.sees_all) items = columns.items;
  for (const int64_t c : columns.seen) items.push_back(columns.items[static_cast<size_t>(c)]);
  items.insert(items.end(), columns.past_items.begin(), columns.past_items.end());
  return items;
}

}  // namespace

SourceColumns ColumnsOf(std::span<const std::unique_ptr<Source>> sources,
                        const StepPositives& positives, int64_t step, const Partition& corpus) {
  const DrawnStep drawn = DrawStep(sources, step);
  Columns found = drawn.Any(From::kCorpus) ? CorpusColumns(positives, corpus)
                                           : FindColumns(positives.items, drawn.items, corpus);
  SourceColumns columns;
  columns.items = std::move(found.items);
  columns.owner_columns = std::move(found.owner_counts);
  columns.of_positive = std::move(found.of_positive);
  const auto own_begin = columns.of_positive.begin() + positives.own.begin;
  columns.positive.assign(own_begin, own_begin + positives.own.size());
  std::vector<std::vector<int64_t>> of_source =
      DrawnColumns(drawn, positives.own, found.of_extra, &columns);
  if (drawn.Any(From::kOwnPositives) && corpus.world_size() > 1) {
    const std::vector<int64_t> number = KeepSeen(of_source, &columns);
    for (int64_t& c : columns.positive) c = number[static_cast<size_t>(c)];
    for (std::vector<int64_t>& one : of_source) {
      for (int64_t& c : one) c = number[static_cast<size_t>(c)];
    }
  }
  columns.seen_items = SeenItems(columns);

  const size_t seen = columns.seen_items.size();
  columns.multiplicity.assign(sources.size() * seen, 0);
  for (size_t s = 0; s < sources.size(); ++s) {
    int32_t* const copies = columns.multiplicity.data() + s * seen;
    for (const int64_t c : of_source[s]) ++copies[c];
    columns.draws.push_back(sources[s]->NumDraws(drawn.of_source[s], positives));
  }
  return columns;
}

ColumnFacts FactsOf(std::span<const std::unique_ptr<Source>> sources, const SourceColumns& columns,
                    int64_t num_items) {
  ColumnFacts facts;
  facts.corpus_items = num_items;
  facts.counts_own_positive = false;
  facts.draws = columns.draws;
  std::vector<double> expected;
  expected.reserve(columns.multiplicity.size());
  for (size_t s = 0; s < sources.size(); ++s) {
    facts.sources.emplace_back(sources[s]->name());
    facts.counts_own_positive |= sources[s]->holds_positives();
    for (const int64_t item : columns.seen_items) {
      expected.push_back(sources[s]->ExpectedCount(item, columns.draws[s]));
    }
  }
  const int64_t shape[] = {std::ssize(sources), std::ssize(columns.seen_items)};
  facts.multiplicity = kernels::TensorOf<int32_t>(columns.multiplicity, shape);
  facts.expected = kernels::TensorOf<double>(expected, shape);
  return facts;
}

}  // namespace torii::sampler
