// The whole training step on the numbers of a peer: reads the arrays that its --dump wrote
// (user_ids, item_ids [batches, B], logq [items], initial weights w_*), trains on them and prints
// one JSON line: seconds of a step, examples/s, where the time went, the fraction of what this
// machine allows (machine_limits.h), and the first five losses.
//
//   step_bench DUMP_DIR [--steps 6] [--repeats 5] [--threads N] [--precision fp32|bf16] [--device cpu]
//   mpirun -np 2 step_bench DUMP_DIR --threads 1
//
// steps: of a repeat. threads: of this process; default: all cores that it may use. precision: of
// the loss. device: as --device of torii; on a GPU, one process, the limits of the machine are left
// out, and what is called its share of a step is the host's.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include "base/partition.h"
#include "base/split_evenly.h"
#include "base/stopwatch.h"
#include "bench/bare_dataset.h"
#include "bench/machine_limits.h"
#include "bench/npy.h"
#include "bench/peer_loss.h"
#include "comm/in_process/rank_group.h"
#include "comm/mpi/mpi_environment.h"
#include "launch/process/allocator.h"
#include "launch/process/run_device.h"
#include "sampler/negative_sampler.h"
#include "trainer/checkpoint/copy_rows.h"
#include "trainer/step/train_step.h"

namespace torii::bench {
namespace {

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

trainer::TwoTowerConfig PeerModel(const Dump& dump, const kernels::Device& device) {
  trainer::TwoTowerConfig config;
  config.device = device;
  config.model.set_dim(static_cast<int32_t>(dump.weights.at("user").size(1)));
  config.model.mutable_scorer()->mutable_inner_product()->set_temperature(0.1);
  const auto hidden = static_cast<int32_t>(dump.weights.at("user_w1").size(0));
  config.model.mutable_user()->mutable_trunk()->mutable_mlp()->add_hidden(hidden);
  config.model.mutable_item()->mutable_trunk()->mutable_mlp()->add_hidden(hidden);
  return config;
}

void SetWeights(trainer::TwoTower& towers, const Dump& dump, int rank) {
  const at::NoGradGuard no_grad;
  for (const sharding::TableState& state : towers.tables().State()) {
    if (!state.name.ends_with(".weight")) continue;
    const at::Tensor& whole = dump.weights.at(state.name.starts_with("user") ? "user" : "item");
    at::Tensor live = state.tensor;
    trainer::CopyRows(whole, Partition::RowModWorld(whole.size(0), 1), 0, live, state.partition,
                      rank);
  }
  // In order of registration: per tower hidden weight and bias, last weight and bias.
  const char* order[] = {"user_w1", "user_b1", "user_w2", "user_b2",
                         "item_w1", "item_b1", "item_w2", "item_b2"};
  std::vector<at::Tensor> flat;
  for (const char* name : order) flat.push_back(dump.weights.at(name).flatten());
  towers.net().dense().flat().copy_(at::cat(flat));
}

struct Arguments {
  std::string folder;
  int64_t steps = 6, repeats = 5;
  int threads = 1;
  bool bf16 = false;
  std::string device = "cpu";
};

// Trains on the peer's batches, in turn.
class StepRun {
 public:
  StepRun(comm::Communicator& comm, const Dump& dump, const kernels::Device& device)
      : comm_(comm),
        dump_(dump),
        device_(device),
        dataset_(dump.weights.at("user").size(0), dump.weights.at("item").size(0)) {}

  absl::Status Prepare(bool bf16) {
    TORII_ASSIGN_OR_RETURN(towers_,
                           trainer::TwoTower::Create(comm_, dataset_, PeerModel(dump_, device_)));
    SetWeights(*towers_, dump_, comm_.rank());
    TORII_ASSIGN_OR_RETURN(sampler_,
                           sampler::NegativeSampler::Create({}, dataset_.item_counts(), 1));
    loss_ = std::make_unique<PeerLoss>(bf16, dump_.log_q, device_);
    dense_ = std::make_unique<trainer::DenseOptimizer>(trainer::DenseOptimizerConfig(),
                                                       towers_->net().dense());
    return absl::OkStatus();
  }

  // The result of the step, or of the one before where the device is behind its calls (none before
  // the first).
  absl::StatusOr<trainer::StepResult> Step() {
    data::Batch batch = NextBatch();
    TORII_RETURN_IF_ERROR(trainer::PlanStep(comm_, {*towers_, *sampler_, loss_->needs()},
                                            std::move(batch), step_++, &plan_, &time));
    TORII_ASSIGN_OR_RETURN(
        trainer::PendingStep started,
        trainer::ComputeStep({*towers_, *loss_, *dense_, past_}, plan_, options_, 1.0, &time));
    if (!reads_late()) {
      return trainer::Collect(started, *loss_, options_.check_finite);
    }
    const auto before = std::exchange(pending_, std::move(started));
    if (!before) return trainer::StepResult();
    return trainer::Collect(*before, *loss_, options_.check_finite);
  }
  bool reads_late() const { return device_.pace() == kernels::Device::Pace::kBehindCalls; }
  // Reads the last step where it was not read yet.
  absl::Status Settle() {
    const auto last = std::exchange(pending_, std::nullopt);
    if (!last) return absl::OkStatus();
    TORII_RETURN_IF_ERROR(trainer::Collect(*last, *loss_, options_.check_finite).status());
    (void)at::zeros({1}, device_.torch()).cpu();  // its updates come after its numbers
    return absl::OkStatus();
  }
  // Of the step that was planned last.
  int64_t columns() const { return plan_.candidates.num_columns(); }

  trainer::StepTime time;

 private:
  data::Batch NextBatch() const {
    const int64_t rows = dump_.users.size(1);
    const Range mine = SplitEvenly(rows, comm_.world_size(), comm_.rank());
    const auto slice = [&](const at::Tensor& ids) {
      const int64_t* row = ids.const_data_ptr<int64_t>() + step_ % ids.size(0) * rows;
      return std::vector<int64_t>(row + mine.begin, row + mine.end);
    };
    data::Batch part;
    part.global_rows = rows;
    part.first_position = mine.begin;
    part.users = slice(dump_.users);
    part.items = slice(dump_.items);
    part.weights.assign(part.users.size(), 1.0f);
    part.history.offsets.assign(part.users.size() + 1, 0);
    part.user_runs = RowGroups::OneEach(part.size());  // as if no user followed itself
    return part;
  }

  comm::Communicator& comm_;
  const Dump& dump_;
  const kernels::Device device_;
  const trainer::StepOptions options_;
  const BareDataset dataset_;
  std::unique_ptr<trainer::TwoTower> towers_;
  std::unique_ptr<sampler::NegativeSampler> sampler_;
  std::unique_ptr<PeerLoss> loss_;
  std::unique_ptr<trainer::DenseOptimizer> dense_;
  trainer::PastVectors past_{/*slots=*/0, /*width=*/0, device_};
  trainer::StepPlan plan_;
  std::optional<trainer::PendingStep> pending_;
  int64_t step_ = 0;
};

// Seconds that all ranks together need at least for B rows and U columns: the products of the loss
// and of the towers, the exponentials, the rows of the tables.
struct StepLimit {
  double loss = 0, towers = 0, rows = 0;
  double total() const { return loss + towers + rows; }
};

absl::StatusOr<StepLimit> LimitOfStep(comm::Communicator& comm, const Arguments& arguments,
                                      const Dump& dump, double columns) {
  constexpr int64_t kTableBytes = int64_t{256} << 20;
  TORII_RETURN_IF_ERROR(comm::Barrier(comm.control()));
  const MachineLimits own = MeasureMachineLimits(arguments.threads, kTableBytes);
  at::Tensor sum = at::tensor({own.fma, arguments.bf16 && own.bf16_dot > 0 ? own.bf16_dot : own.fma,
                               own.exp, own.rows.copy, own.rows.update},
                              at::kDouble);
  TORII_RETURN_IF_ERROR(comm.AllReduce(sum, comm::ReduceOp::kSum));
  const auto rate = [&](int64_t i) { return sum[i].item<double>(); };
  const auto rows = static_cast<double>(dump.users.size(1));
  const auto dim = static_cast<double>(dump.weights.at("user").size(1));
  const auto hidden = static_cast<double>(dump.weights.at("user_w1").size(0));
  StepLimit limit;
  limit.loss = 6 * rows * columns * dim / rate(1) + rows * columns / rate(2);
  limit.towers = 12 * (rows + columns) * dim * hidden / rate(0);
  limit.rows = (rows + columns) * (1 / rate(3) + 1 / rate(4));
  return limit;
}

struct Measured {
  std::vector<double> seconds;  // of a step, one for each repeat, ascending
  std::vector<double> losses;   // of the first five steps
  double columns = 0;           // mean U
};

absl::StatusOr<Measured> Measure(comm::Communicator& comm, const Arguments& arguments,
                                 StepRun* run) {
  constexpr int kWarmUp = 8;
  Measured measured;
  const int late = run->reads_late() ? 1 : 0;
  for (int i = 0; i < kWarmUp; ++i) {
    TORII_ASSIGN_OR_RETURN(const trainer::StepResult result, run->Step());
    if (i >= late && measured.losses.size() < 5) measured.losses.push_back(result.loss);
  }
  TORII_RETURN_IF_ERROR(run->Settle());
  run->time = {};
  int64_t columns = 0;
  for (int64_t r = 0; r < arguments.repeats; ++r) {
    TORII_RETURN_IF_ERROR(comm::Barrier(comm.control()));
    const Stopwatch watch;
    for (int64_t s = 0; s < arguments.steps; ++s) {
      TORII_RETURN_IF_ERROR(run->Step().status());
      columns += run->columns();
    }
    TORII_RETURN_IF_ERROR(run->Settle());
    TORII_RETURN_IF_ERROR(comm::Barrier(comm.control()));
    measured.seconds.push_back(watch.seconds() / static_cast<double>(arguments.steps));
  }
  std::sort(measured.seconds.begin(), measured.seconds.end());
  measured.columns =
      static_cast<double>(columns) / static_cast<double>(arguments.repeats * arguments.steps);
  return measured;
}

absl::Status Run(comm::Communicator& comm, const Arguments& arguments,
                 const kernels::Device& device) {
  TORII_ASSIGN_OR_RETURN(const Dump dump, ReadDump(arguments.folder));
  StepRun run(comm, dump, device);
  TORII_RETURN_IF_ERROR(run.Prepare(arguments.bf16));
  TORII_ASSIGN_OR_RETURN(const Measured measured, Measure(comm, arguments, &run));
  StepLimit limit;
  if (device.is_host()) {
    TORII_ASSIGN_OR_RETURN(limit, LimitOfStep(comm, arguments, dump, measured.columns));
  }
  if (comm.rank() != 0) return absl::OkStatus();
  const double median = measured.seconds[measured.seconds.size() / 2];
  const double steps = static_cast<double>(arguments.steps * arguments.repeats);
  const double mean = std::accumulate(measured.seconds.begin(), measured.seconds.end(), 0.0) /
                      static_cast<double>(measured.seconds.size());
  const auto share = [&](double seconds) { return seconds / steps / mean; };
  const nlohmann::ordered_json line = {
      {"case", "step"},
      {"B", dump.users.size(1)},
      {"device", device.name()},
      {"world", comm.world_size()},
      {"threads", arguments.threads},
      {"precision", arguments.bf16 ? "bf16" : "fp32"},
      {"seconds_min", measured.seconds.front()},
      {"seconds_median", median},
      {"seconds_max", measured.seconds.back()},
      {"examples_per_s", static_cast<double>(dump.users.size(1)) / median},
      {"columns", measured.columns},
      {"limit_seconds", limit.total()},
      {"fraction_of_limit", limit.total() / median},
      {"plan", share(run.time.plan)},
      {"exchange", share(run.time.exchange)},
      {"towers", share(run.time.towers)},
      {"towers_limit", limit.towers / median},
      {"loss", share(run.time.loss)},
      {"loss_limit", limit.loss / median},
      {"update", share(run.time.update)},
      {"rows_limit", limit.rows / median},
      {"losses", measured.losses}};
  std::printf("%s\n", line.dump().c_str());
  return absl::OkStatus();
}

// False if the command line is wrong.
bool Parse(int argc, char** argv, Arguments* arguments) {
  arguments->threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  if (argc < 2 || argc % 2 != 0) return false;
  arguments->folder = argv[1];
  for (int i = 2; i < argc; i += 2) {
    const std::string flag = argv[i], value = argv[i + 1];
    const int64_t number = std::atoll(value.c_str());
    if (flag == "--device") {
      arguments->device = value;
    } else if (flag == "--precision" && (value == "fp32" || value == "bf16")) {
      arguments->bf16 = value == "bf16";
    } else if (number < 1) {
      return false;
    } else if (flag == "--steps") {
      arguments->steps = number;
    } else if (flag == "--repeats") {
      arguments->repeats = number;
    } else if (flag == "--threads") {
      arguments->threads = static_cast<int>(number);
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace
}  // namespace torii::bench

int main(int argc, char** argv) {
  torii::launch::KeepFreedMemory();  // as the program does
  torii::bench::Arguments arguments;
  if (!torii::bench::Parse(argc, argv, &arguments)) {
    std::fprintf(stderr,
                 "usage: step_bench DUMP_DIR [--steps N] [--repeats N] [--threads N] "
                 "[--precision fp32|bf16] [--device cpu]\n");
    return 64;
  }
  // Before LibTorch is asked for anything.
  const auto found = torii::launch::RunDevice::Open(arguments.device);
  const auto device = found.ok() ? found->OfRank(0, 1) : found.status();
  if (!device.ok()) {
    std::fprintf(stderr, "%s\n", device.status().ToString().c_str());
    return 78;
  }
  (void)at::get_num_threads();
  at::set_num_threads(arguments.threads);
  absl::Status status;
  if (torii::comm::StartedByMpiLauncher()) {
    auto mpi = torii::comm::MpiEnvironment::Create();
    if (!mpi.ok()) return 70;
    auto world = (*mpi)->World();
    if (!world.ok()) return 70;
    status = torii::bench::Run(**world, arguments, *device);
    if (!status.ok()) (*world)->Abort(status);
  } else {
    auto group = torii::comm::CreateInProcessGroup(1);
    status = torii::bench::Run(*group[0], arguments, *device);
  }
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return static_cast<int>(torii::ExitCodeOf(status));
}
