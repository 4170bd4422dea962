// Time of the softmax loss on a GPU, value and both gradients, against its products: 8 B U D
// operations in bfloat16 (the kernel runs twice), 6 B U D in float32.
//
//   loss_gpu_bench [--device cuda] [--sizes 16384,16384,64;...] [--precision bf16|fp32] [--data DIR]
//
// DIR holds q, v [float32], column_offset and positive of one problem (.npy): its time and its loss.
// One JSON line for each case.
#include <cmath>

#include "absl/strings/str_split.h"
#include "bench/gpu_bench.h"
#include "bench/npy.h"
#include "model/loss/fused_softmax.h"

namespace torii::bench {
namespace {

struct Problem {
  at::Tensor q, v, column_offset, positive;
};

// Cosine vectors, random positives.
Problem MakeProblem(int64_t rows, int64_t columns, int64_t dim, const GpuBench& bench) {
  at::manual_seed(1);
  Problem p = {at::randn({rows, dim}), at::randn({columns, dim}), at::rand({columns}),
               at::randint(columns, {rows}, at::kLong)};
  p.q.div_(p.q.norm(2, {1}, true));
  p.v.div_(p.v.norm(2, {1}, true));
  for (at::Tensor* x : {&p.q, &p.v, &p.column_offset, &p.positive}) {
    *x = x->to(bench.device().torch());
  }
  return p;
}

absl::StatusOr<Problem> ReadProblem(const std::string& folder, const GpuBench& bench) {
  Problem p;
  TORII_ASSIGN_OR_RETURN(p.q, ReadNpy(folder + "/q.npy"));
  TORII_ASSIGN_OR_RETURN(p.v, ReadNpy(folder + "/v.npy"));
  TORII_ASSIGN_OR_RETURN(p.column_offset, ReadNpy(folder + "/column_offset.npy"));
  TORII_ASSIGN_OR_RETURN(p.positive, ReadNpy(folder + "/positive.npy"));
  for (at::Tensor* x : {&p.q, &p.v, &p.column_offset, &p.positive}) {
    *x = x->to(bench.device().torch());
  }
  return p;
}

void Measure(const GpuBench& bench, const GpuRates& rates, const Problem& p,
             kernels::SoftmaxPrecision precision) {
  const int64_t b = p.q.size(0), u = p.v.size(0), dim = p.q.size(1);
  const bool bf16 = precision == kernels::SoftmaxPrecision::kBfloat16;
  const at::Tensor own = p.column_offset.index_select(0, p.positive);
  const model::SoftmaxProblem problem = {
      .q = p.q,
      .v = p.v,
      .column_offset = p.column_offset,
      .rows = RowGroups::OneEach(b),
      .positive = p.positive,
      .positive_offset = own,
      .target_offset = own,
      .weight = at::full({b}, 1.0 / static_cast<double>(b), p.q.options()),
      .excluded_begin = {},
      .excluded = {},
      .temperature = 0.07,
      .device = bench.device()};
  const int64_t before = bench.FreeBytes();
  model::FusedSoftmax loss(precision, bench.device());
  double value = 0;
  value = loss.Compute(problem).value.cpu().item<double>();
  const int64_t results = 4 * (b + u) * dim, taken = before - bench.FreeBytes();
  const auto cells = static_cast<double>(b) * static_cast<double>(u) * static_cast<double>(dim);
  const double limit = 1e3 * (bf16 ? 8 * cells / rates.bfloat16 : 6 * cells / rates.fp32);
  const int calls = bench.is_gpu() ? static_cast<int>(std::clamp(20 / limit, 2.0, 40.0)) : 1;
  Print({{"case", "loss"},
         {"precision", bf16 ? "bf16" : "fp32"},
         {"by", loss.Description()},
         {"B", b},
         {"U", u},
         {"D", dim},
         {"loss", value},
         {"memory_MB", static_cast<double>(taken - results) / 1e6}},
        bench.Times(7, calls, [&](int) { (void)loss.Compute(problem); }), limit);
}

absl::Status Run(const std::map<std::string, std::string>& flags) {
  TORII_ASSIGN_OR_RETURN(const GpuBench bench, GpuBench::Open(flags.at("device")));
  const GpuRates rates = MeasureGpuRates(bench);
  std::printf("%s\n", Json(rates).dump().c_str());
  using kernels::SoftmaxPrecision;
  if (!flags.at("data").empty()) {
    TORII_ASSIGN_OR_RETURN(const Problem problem, ReadProblem(flags.at("data"), bench));
    Measure(
        bench, rates, problem,
        flags.at("precision") == "fp32" ? SoftmaxPrecision::kFloat32 : SoftmaxPrecision::kBfloat16);
    return absl::OkStatus();
  }
  for (const absl::string_view size : absl::StrSplit(flags.at("sizes"), ';')) {
    const std::vector<std::string> numbers = absl::StrSplit(size, ',');
    TORII_CHECK(numbers.size() == 3, "--sizes: B,U,D;B,U,D ...");
    const Problem problem =
        MakeProblem(std::stoll(numbers[0]), std::stoll(numbers[1]), std::stoll(numbers[2]), bench);
    for (const auto precision : {SoftmaxPrecision::kBfloat16, SoftmaxPrecision::kFloat32}) {
      const bool bf16 = precision == SoftmaxPrecision::kBfloat16;
      const std::string& asked = flags.at("precision");
      if (!asked.empty() && (asked == "bf16") != bf16) continue;
      // A large problem by products in float32 would take the time of all others.
      if (!bf16 && asked.empty() && problem.q.size(0) > 16384) continue;
      Measure(bench, rates, problem, precision);
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace torii::bench

int main(int argc, char** argv) {
  std::map<std::string, std::string> flags = {
      {"device", "cuda"},
      {"sizes", "16384,16384,64;16384,16384,128;65536,16384,64;65536,65536,128;4096,4096,64"},
      {"precision", ""},
      {"data", ""}};
  if (!torii::bench::ParseFlags(argc, argv, &flags)) return 64;
  return torii::bench::Main(torii::bench::Run(flags));
}
