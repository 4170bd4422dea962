// The whole training step on the numbers of a peer: reads the arrays that its --dump wrote
// (user_ids, item_ids [batches, B], logq [items], initial weights w_*), trains on them and prints
// one JSON line with the seconds of a step, examples/s, where the time went, and the first five
// losses.
//
//   step_bench DUMP_DIR [steps per repeat = 6] [repeats = 5] [threads of this process = 2]
//   mpirun -np 2 step_bench DUMP_DIR 6 5 1

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/split_evenly.h"
#include "base/stopwatch.h"
#include "bench/npy.h"
#include "comm/in_process/rank_group.h"
#include "comm/mpi/mpi_environment.h"
#include "data/dataset.h"
#include "sampler/negative_sampler.h"
#include "trainer/tensor_view.h"
#include "trainer/train_step.h"

namespace torii::bench {
namespace {

// Users or items without features.
class BareSide final : public data::Features {
 public:
  explicit BareSide(int64_t rows) : rows_(rows) {}
  int64_t rows() const override { return rows_; }
  std::span<const data::PreparedFeature> info() const override { return {}; }
  data::FeatureRows Gather(std::span<const int64_t> rows, std::span<const int>) const override {
    data::FeatureRows result;
    result.n = static_cast<int64_t>(rows.size());
    return result;
  }
  std::string Id(int64_t row) const override { return std::to_string(row); }
  std::string Title(int64_t row) const override { return Id(row); }
  int64_t IntegerId(int64_t row) const override { return row; }
  bool has_integer_ids() const override { return true; }
  std::optional<int64_t> FindRow(const std::string&) const override { return std::nullopt; }

 private:
  int64_t rows_;
};

class BareDataset final : public data::Dataset {
 public:
  BareDataset(int64_t users, int64_t items)
      : users_(users), items_(items), counts_(static_cast<size_t>(items), 1) {}
  const data::PreparedDataset& meta() const override { return meta_; }
  const data::Features& users() const override { return users_; }
  const data::Features& items() const override { return items_; }
  const data::Interactions& train() const override { return none_; }
  const data::Interactions& valid() const override { return none_; }
  const data::Interactions& test() const override { return none_; }
  std::span<const int64_t> item_counts() const override { return counts_; }
  const std::string& digest() const override { return digest_; }

 private:
  BareSide users_, items_;
  std::vector<int64_t> counts_;
  data::PreparedDataset meta_;
  data::Interactions none_;
  std::string digest_;
};

// The peers correct every logit, the positive's too, by the log Q they were given, and mask
// accidental hits.
class PeerSampler final : public sampler::NegativeSampler {
 public:
  PeerSampler(std::unique_ptr<sampler::NegativeSampler> in_batch, at::Tensor log_q)
      : in_batch_(std::move(in_batch)), log_q_(std::move(log_q)) {}
  absl::StatusOr<sampler::Candidates> Draw(comm::Communicator& comm, int64_t step,
                                           std::span<const int64_t> positives,
                                           std::span<const float> weights,
                                           const sampler::KnownPositives& known) const override {
    TORII_ASSIGN_OR_RETURN(sampler::Candidates c,
                           in_batch_->Draw(comm, step, positives, weights, known));
    c.column_offset = c.column_offset - log_q_.index_select(0, c.rows);
    c.positive_offset = -log_q_.index_select(0, trainer::ViewOf(positives));
    c.target_offset = c.positive_offset;
    return c;
  }
  std::string Description() const override { return "as the peers"; }

 private:
  std::unique_ptr<sampler::NegativeSampler> in_batch_;
  at::Tensor log_q_;
};

struct Dump {
  at::Tensor users, items, log_q;
  std::map<std::string, at::Tensor> weights;
};

absl::StatusOr<Dump> ReadDump(const std::string& folder) {
  Dump dump;
  TORII_ASSIGN_OR_RETURN(dump.users, ReadNpy(folder + "/user_ids.npy"));
  TORII_ASSIGN_OR_RETURN(dump.items, ReadNpy(folder + "/item_ids.npy"));
  TORII_ASSIGN_OR_RETURN(dump.log_q, ReadNpy(folder + "/logq.npy"));
  for (const char* name : {"user", "item", "user_w1", "user_b1", "user_w2", "user_b2", "item_w1",
                           "item_b1", "item_w2", "item_b2"}) {
    TORII_ASSIGN_OR_RETURN(dump.weights[name], ReadNpy(absl::StrCat(folder, "/w_", name, ".npy")));
  }
  return dump;
}

trainer::TwoTowerConfig PeerModel(const Dump& dump) {
  trainer::TwoTowerConfig config;
  config.model.set_dim(static_cast<int32_t>(dump.weights.at("user").size(1)));
  config.model.set_temperature(0.1);
  const auto hidden = static_cast<int32_t>(dump.weights.at("user_w1").size(0));
  config.model.mutable_user()->add_hidden(hidden);
  config.model.mutable_item()->add_hidden(hidden);
  return config;
}

void SetWeights(trainer::TwoTower& towers, const Dump& dump, int rank, int world) {
  const at::NoGradGuard no_grad;
  for (const sharding::TableState& state : towers.TableStates()) {
    if (!state.name.ends_with(".weight")) continue;
    const at::Tensor& whole = dump.weights.at(state.name.starts_with("user") ? "user" : "item");
    at::Tensor live = state.tensor;
    live.copy_(whole.slice(0, rank, whole.size(0), world));
  }
  // In order of registration: per tower hidden weight and bias, last weight and bias.
  const char* order[] = {"user_w1", "user_b1", "user_w2", "user_b2",
                         "item_w1", "item_b1", "item_w2", "item_b2"};
  std::vector<at::Tensor> flat;
  for (const char* name : order) flat.push_back(dump.weights.at(name).flatten());
  towers.dense().flat().copy_(at::cat(flat));
}

struct Arguments {
  std::string folder;
  int64_t steps = 6, repeats = 5;
};

absl::Status Run(comm::Communicator& comm, const Arguments& arguments) {
  TORII_ASSIGN_OR_RETURN(const Dump dump, ReadDump(arguments.folder));
  const BareDataset dataset(dump.weights.at("user").size(0), dump.weights.at("item").size(0));
  TORII_ASSIGN_OR_RETURN(auto towers, trainer::TwoTower::Create(comm, dataset, PeerModel(dump)));
  SetWeights(*towers, dump, comm.rank(), comm.world_size());
  sampler::SamplerConfig sampling;
  sampling.set_correct_in_batch(false);
  sampling.set_correct_uniform(false);
  sampling.set_correct_popularity(false);
  TORII_ASSIGN_OR_RETURN(auto in_batch,
                         sampler::NegativeSampler::Create(sampling, dataset.item_counts(), 1));
  const PeerSampler sampler(std::move(in_batch), dump.log_q);
  trainer::DenseOptimizerConfig adam;
  trainer::DenseOptimizer dense(adam, towers->dense());

  const int64_t batch = dump.users.size(1);
  const Range mine = SplitEvenly(batch, comm.world_size(), comm.rank());
  int64_t step = 0;
  trainer::StepTime time;
  std::vector<double> losses;
  const auto train = [&]() -> absl::Status {
    const int64_t b = step % dump.users.size(0);
    const auto slice = [&](const at::Tensor& ids) {
      const int64_t* row = ids.const_data_ptr<int64_t>() + b * batch;
      return std::vector<int64_t>(row + mine.begin, row + mine.end);
    };
    data::Batch part;
    part.global_rows = batch;
    part.first_position = mine.begin;
    part.users = slice(dump.users);
    part.items = slice(dump.items);
    part.weights.assign(part.users.size(), 1.0f);
    part.history.offsets.assign(part.users.size() + 1, 0);
    TORII_ASSIGN_OR_RETURN(
        const trainer::StepResult result,
        trainer::TrainStep(*towers, sampler, dense, part, {.temperature = 0.1}, step, 1.0, &time));
    if (losses.size() < 5) losses.push_back(result.loss);
    ++step;
    return absl::OkStatus();
  };

  for (int i = 0; i < 8; ++i) TORII_RETURN_IF_ERROR(train());
  time = {};
  std::vector<double> seconds;
  for (int64_t r = 0; r < arguments.repeats; ++r) {
    TORII_RETURN_IF_ERROR(comm.Barrier());
    const Stopwatch watch;
    for (int64_t s = 0; s < arguments.steps; ++s) TORII_RETURN_IF_ERROR(train());
    TORII_RETURN_IF_ERROR(comm.Barrier());
    seconds.push_back(watch.seconds() / static_cast<double>(arguments.steps));
  }
  if (comm.rank() != 0) return absl::OkStatus();
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  const double total = time.total();
  nlohmann::ordered_json line = {{"case", "step"},
                                 {"B", batch},
                                 {"world", comm.world_size()},
                                 {"threads", at::get_num_threads()},
                                 {"seconds_min", seconds.front()},
                                 {"seconds_median", median},
                                 {"seconds_max", seconds.back()},
                                 {"examples_per_s", static_cast<double>(batch) / median},
                                 {"exchange", time.exchange / total},
                                 {"towers", time.towers / total},
                                 {"loss", time.loss / total},
                                 {"update", time.update / total},
                                 {"losses", losses}};
  std::printf("%s\n", line.dump().c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace torii::bench

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: step_bench DUMP_DIR [steps] [repeats] [threads]\n");
    return 64;
  }
  torii::bench::Arguments arguments{.folder = argv[1]};
  if (argc > 2) arguments.steps = std::stoll(argv[2]);
  if (argc > 3) arguments.repeats = std::stoll(argv[3]);
  (void)at::get_num_threads();
  at::set_num_threads(argc > 4 ? std::stoi(argv[4]) : 2);
  absl::Status status;
  if (torii::comm::StartedByMpiLauncher()) {
    auto mpi = torii::comm::MpiEnvironment::Create();
    if (!mpi.ok()) return 70;
    auto world = (*mpi)->World();
    if (!world.ok()) return 70;
    status = torii::bench::Run(**world, arguments);
    if (!status.ok()) (*world)->Abort(status);
  } else {
    auto group = torii::comm::CreateInProcessGroup(1);
    status = torii::bench::Run(*group[0], arguments);
  }
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return static_cast<int>(torii::ExitCodeOf(status));
}
