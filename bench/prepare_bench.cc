// Rows a second of `torii prepare` on generated Parquet and CSV. Writes into a folder that it
// removes again.
//   prepare_bench [--rows=5000000] [--sort_buffer_rows=20000000]
//   [--folder=/tmp/torii_prepare_bench]
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "arrow/array.h"
#include "arrow/builder.h"
#include "arrow/csv/writer.h"
#include "arrow/io/file.h"
#include "arrow/table.h"
#include "base/file_system.h"
#include "base/random.h"
#include "base/stopwatch.h"
#include "data/prepare/prepare.h"
#include "parquet/arrow/writer.h"

namespace torii::data {
namespace {

struct BenchOptions {
  int64_t rows = 5'000'000;
  int64_t sort_buffer_rows = 20'000'000;
  std::string folder = "/tmp/torii_prepare_bench";
};

void Must(const arrow::Status& status) {
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    std::exit(1);
  }
}

void Must(const absl::Status& status) {
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
    std::exit(1);
  }
}

// Users uniform, items skewed (the square of a uniform number), times random.
std::shared_ptr<arrow::Table> Generate(int64_t rows) {
  const int64_t users = rows / 25 + 1;
  const int64_t items = 100'000;
  const RandomStream random(1, "prepare_bench");
  arrow::Int64Builder user;
  arrow::Int64Builder item;
  arrow::Int64Builder time;
  arrow::FloatBuilder rating;
  for (int64_t i = 0; i < rows; ++i) {
    const uint64_t k = static_cast<uint64_t>(i) * 3;
    const double u = random.Uniform(k + 1);
    Must(user.Append(random.Below(k, users) * 7));
    Must(item.Append(static_cast<int64_t>(u * u * static_cast<double>(items))));
    Must(time.Append(1'600'000'000 + random.Below(k + 2, 100'000'000)));
    Must(rating.Append(static_cast<float>(i % 5 + 1)));
  }
  const auto schema = arrow::schema(
      {arrow::field("user_id", arrow::int64()), arrow::field("item_id", arrow::int64()),
       arrow::field("timestamp", arrow::int64()), arrow::field("rating", arrow::float32())});
  return arrow::Table::Make(schema, {user.Finish().ValueOrDie(), item.Finish().ValueOrDie(),
                                     time.Finish().ValueOrDie(), rating.Finish().ValueOrDie()});
}

void WriteInputs(const BenchOptions& flags) {
  const std::shared_ptr<arrow::Table> table = Generate(flags.rows);
  auto parquet =
      arrow::io::FileOutputStream::Open(JoinPath(flags.folder, "x.parquet")).ValueOrDie();
  Must(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), parquet, 1 << 20));
  Must(parquet->Close());
  auto csv = arrow::io::FileOutputStream::Open(JoinPath(flags.folder, "x.csv")).ValueOrDie();
  Must(arrow::csv::WriteCSV(*table, arrow::csv::WriteOptions::Defaults(), csv.get()));
  Must(csv->Close());
}

void Measure(const BenchOptions& flags, const std::string& name) {
  DataConfig config;
  config.set_prepared_dir(JoinPath(flags.folder, "prepared"));
  config.set_sort_buffer_rows(flags.sort_buffer_rows);
  config.mutable_interactions()->add_path(JoinPath(flags.folder, name));
  config.mutable_interactions()->set_time("timestamp");
  config.mutable_split()->set_last_fraction(0.1);
  const Stopwatch watch;
  const auto result = Prepare(LocalFiles(), config, {.force = true, .verbose = false});
  Must(result.status());
  const double seconds = watch.seconds();
  std::printf("%-10s %12lld rows %8.2f s %12.0f rows/s  (%lld users, %lld items)\n", name.c_str(),
              static_cast<long long>(flags.rows), seconds,
              static_cast<double>(flags.rows) / seconds,
              static_cast<long long>(result->dataset.users().rows()),
              static_cast<long long>(result->dataset.items().rows()));
}

BenchOptions ParseOptions(int argc, char** argv) {
  BenchOptions flags;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    const std::string value(flag.substr(std::min(flag.size(), flag.find('=') + 1)));
    if (flag.starts_with("--rows=")) {
      flags.rows = std::atoll(value.c_str());
    } else if (flag.starts_with("--sort_buffer_rows=")) {
      flags.sort_buffer_rows = std::atoll(value.c_str());
    } else if (flag.starts_with("--folder=")) {
      flags.folder = value;
    } else {
      std::fprintf(stderr, "unknown flag %s\n", argv[i]);
      std::exit(64);
    }
  }
  return flags;
}

}  // namespace
}  // namespace torii::data

int main(int argc, char** argv) {
  const torii::data::BenchOptions flags = torii::data::ParseOptions(argc, argv);
  torii::data::Must(torii::LocalFiles().MakeDirectories(flags.folder));
  torii::data::WriteInputs(flags);
  torii::data::Measure(flags, "x.parquet");
  torii::data::Measure(flags, "x.csv");
  torii::data::Must(torii::LocalFiles().RemoveAll(flags.folder));
  return 0;
}
