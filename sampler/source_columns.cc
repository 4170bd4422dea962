#include "sampler/source_columns.h"

#include <algorithm>
#include <utility>

#include "kernels/host_tensors.h"
#include "sampler/distinct_columns.h"

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

// Adds 1 to the count of each column in `of`.
void Count(std::span<const int64_t> of, int32_t* count) {
  for (const int64_t column : of) ++count[column];
}

// Keeps the columns that this rank's rows see: their own positives and what the sources drew.
void KeepOwn(std::span<const int64_t> of_drawn, size_t num_sources, SourceColumns* columns) {
  const size_t all = columns->items.size();
  std::vector<int64_t> new_column(all, -1);
  for (const int64_t c : columns->positive) new_column[static_cast<size_t>(c)] = 0;
  for (const int64_t c : of_drawn) new_column[static_cast<size_t>(c)] = 0;
  for (size_t c = 0; c < all; ++c) {
    if (new_column[c] < 0) continue;
    new_column[c] = static_cast<int64_t>(columns->seen.size());
    columns->seen.push_back(static_cast<int64_t>(c));
  }
  std::vector<int32_t> multiplicity;
  for (size_t s = 0; s < num_sources; ++s) {
    for (const int64_t c : columns->seen) {
      multiplicity.push_back(columns->multiplicity[s * all + static_cast<size_t>(c)]);
    }
  }
  for (int64_t& c : columns->positive) c = new_column[static_cast<size_t>(c)];
  columns->multiplicity = std::move(multiplicity);
  columns->sees_all = false;
}

}  // namespace

SourceColumns ColumnsOf(std::span<const std::unique_ptr<Source>> sources,
                        const StepPositives& positives, int64_t step, const Partition& corpus) {
  std::vector<Drawn> drawn;
  std::vector<int64_t> extras;  // of all sources that draw items
  bool own_rank = false, whole_corpus = false;
  for (const auto& source : sources) {
    drawn.push_back(source->Draw(step));
    extras.insert(extras.end(), drawn.back().items.begin(), drawn.back().items.end());
    own_rank |= drawn.back().from == From::kOwnPositives;
    whole_corpus |= drawn.back().from == From::kCorpus;
  }
  Columns found = whole_corpus ? CorpusColumns(positives, corpus)
                               : FindColumns(positives.items, extras, corpus);

  SourceColumns columns;
  const auto own_begin = found.of_positive.begin() + positives.own.begin;
  columns.positive.assign(own_begin, own_begin + positives.own.size());
  columns.multiplicity.assign(sources.size() * found.items.size(), 0);
  size_t extra = 0;  // of the sources so far
  for (size_t s = 0; s < sources.size(); ++s) {
    int32_t* const count = columns.multiplicity.data() + s * found.items.size();
    const size_t num_drawn = drawn[s].items.size();
    if (drawn[s].from == From::kPositives) Count(found.of_positive, count);
    if (drawn[s].from == From::kOwnPositives) Count(columns.positive, count);
    if (drawn[s].from == From::kItems) {
      Count(std::span(found.of_extra).subspan(extra, num_drawn), count);
    }
    if (drawn[s].from == From::kCorpus) std::fill_n(count, found.items.size(), 1);
    extra += num_drawn;
  }
  columns.items = std::move(found.items);
  columns.owner_columns = std::move(found.owner_counts);
  if (own_rank && corpus.world_size() > 1) KeepOwn(found.of_extra, sources.size(), &columns);
  return columns;
}

ColumnFacts FactsOf(std::span<const std::unique_ptr<Source>> sources,
                    const StepPositives& positives, const SourceColumns& columns,
                    int64_t num_items) {
  const int64_t seen = columns.num_seen();
  ColumnFacts facts;
  facts.corpus_items = num_items;
  facts.counts_own_positive = false;
  std::vector<double> expected;
  expected.reserve(columns.multiplicity.size());
  for (const auto& source : sources) {
    const int64_t draws = source->NumDraws(positives);
    facts.sources.emplace_back(source->name());
    facts.draws.push_back(draws);
    facts.counts_own_positive |= source->holds_positives();
    for (int64_t c = 0; c < seen; ++c) {
      expected.push_back(source->ExpectedCount(columns.SeenItem(c), draws));
    }
  }
  const int64_t shape[] = {std::ssize(sources), seen};
  facts.multiplicity = kernels::TensorOf<int32_t>(columns.multiplicity, shape);
  facts.expected = kernels::TensorOf<double>(expected, shape);
  return facts;
}

}  // namespace torii::sampler
