// Rows per second of BatchMaker and of the features' Gather. The dataset is random and in memory; a
// mapped one differs only in who owns the pages. Items per second in the output are rows.
#include <filesystem>
#include <memory>
#include <utility>

#include "benchmark/benchmark.h"
#include "data/batch.h"
#include "tests/support/fake_dataset.h"
#include "tests/support/prepared_folder.h"

namespace torii::data {
namespace {

constexpr int64_t kBatch = 4096;

// 250,000 users x 40: ten million rows, far more than the caches hold.
const Dataset& ManyRows() {
  static const testing::FakeDataset dataset(
      {.users = 250'000, .items = 100'000, .train_per_user = 40, .test_per_user = 0});
  return dataset;
}

void BM_MakeBatch(benchmark::State& state) {
  const BatchMaker maker(ManyRows(),
                         {.global_batch = kBatch, .seed = 1, .history = state.range(0)});
  int64_t step = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(maker.Make(Epoch{0}, StepInEpoch{step++ % maker.steps_per_epoch()}));
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}
BENCHMARK(BM_MakeBatch)->ArgName("history")->Arg(0)->Arg(10)->Arg(50);

void BM_PrefetchedBatch(benchmark::State& state) {
  const BatchMaker maker(ManyRows(),
                         {.global_batch = kBatch, .seed = 1, .history = state.range(0)});
  const auto prefetcher = BatchPrefetcher::Start(maker, Epoch{0}, StepInEpoch{0}, /*ahead=*/2);
  for (auto _ : state) benchmark::DoNotOptimize(prefetcher->Next());
  state.SetItemsProcessed(state.iterations() * kBatch);
}
BENCHMARK(BM_PrefetchedBatch)->ArgName("history")->Arg(0)->Arg(50)->UseRealTime();

// All four features of a mapped folder (bench files in the temporary folder, removed at once: the
// mapping keeps them).
std::unique_ptr<Dataset> MappedItems() {
  const std::string folder =
      JoinPath(std::filesystem::temp_directory_path().string(), "torii_batch_bench");
  const testing::FakeDataset fake({.users = 10, .items = 200'000, .test_per_user = 0});
  absl::Status status = testing::PreparedFolderWriter(LocalFiles(), folder, fake).Write();
  auto dataset = status.ok() ? Dataset::Open(LocalFiles(), folder)
                             : absl::StatusOr<std::unique_ptr<Dataset>>(status);
  LocalFiles().RemoveAll(folder).IgnoreError();
  TORII_CHECK(dataset.ok(), dataset.status().ToString());
  return *std::move(dataset);
}

void BM_GatherFeatures(benchmark::State& state) {
  static const std::unique_ptr<Dataset> dataset = MappedItems();
  const RandomStream random(1, "bench:rows");
  std::vector<int64_t> rows;
  for (uint64_t i = 0; i < kBatch; ++i) rows.push_back(random.Below(i, dataset->items().rows()));
  const std::vector<int> which = {0, 1, 2, 3};
  for (auto _ : state) benchmark::DoNotOptimize(dataset->items().Gather(rows, which));
  state.SetItemsProcessed(state.iterations() * kBatch);
}
BENCHMARK(BM_GatherFeatures);

}  // namespace
}  // namespace torii::data

BENCHMARK_MAIN();
