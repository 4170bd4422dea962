#include "sharding/plan.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"

namespace torii::sharding {
namespace {

constexpr int64_t kFloatBytes = sizeof(float), kIdBytes = sizeof(int64_t);
// What an exchange costs before its first byte, in bytes moved: some 10 us at 6 GB/s.
constexpr int64_t kExchangeBytes = int64_t{64} << 10;
// Collectives of a step: counts, ids, rows and gradients of sharded tables; counts, ids and
// gradients of replicated ones.
constexpr int64_t kShardedExchanges = 4, kReplicatedExchanges = 3;
// More than this for the tables of one width is never copied to every rank unasked.
constexpr int64_t kMostReplicatedBytes = int64_t{16} << 20;

Partition::Kind KindOf(TableConfig::Placement placement) {
  switch (placement) {
    case TableConfig::BLOCKS:
      return Partition::Kind::kBlocks;
    case TableConfig::REPLICATED:
      return Partition::Kind::kReplicated;
    case TableConfig::AUTO:
    case TableConfig::ROW_MOD_WORLD:
      return Partition::Kind::kRowModWorld;
  }
  return Partition::Kind::kRowModWorld;
}

// Whether the tables of one width that are placed AUTO shall be replicated.
bool ReplicationPays(std::span<const TableNeed> needs, int64_t width, int64_t world_size) {
  if (world_size == 1) return false;
  int64_t bytes = 0, sharded = kShardedExchanges * kExchangeBytes,
          replicated = kReplicatedExchanges * kExchangeBytes;
  for (const TableNeed& need : needs) {
    if (need.width != width) continue;
    const TableConfig::Placement placement = need.config.placement();
    if (placement == TableConfig::REPLICATED) continue;
    if (need.grows || placement != TableConfig::AUTO) return false;
    const int64_t distinct = std::min(need.rows, need.lookups);
    const int64_t row = width * kFloatBytes;
    bytes += need.rows * BytesOfRow(need.config, width);
    // Rows come and gradients go, to the other ranks only; a rank gets the others' gradients.
    sharded += distinct * (2 * row + kIdBytes) * (world_size - 1) / world_size;
    replicated += distinct * (row + kIdBytes) * (world_size - 1);
  }
  return bytes <= kMostReplicatedBytes && replicated < sharded;
}

std::string OptimizerName(const TableConfig& config) {
  return absl::AsciiStrToLower(TableConfig::Optimizer_Name(config.optimizer()));
}

}  // namespace

int64_t BytesOfRow(const TableConfig& config, int64_t width) {
  switch (config.optimizer()) {
    case TableConfig::SGD:
      return width * kFloatBytes;
    case TableConfig::ROWWISE_ADAGRAD:
      return (width + 1) * kFloatBytes;
    case TableConfig::ADAGRAD:
      return 2 * width * kFloatBytes;
    case TableConfig::ADAM:
      return 3 * width * kFloatBytes;
  }
  return 0;
}

std::vector<PlacedTable> PlanTables(std::span<const TableNeed> needs, int world_size) {
  std::vector<PlacedTable> plan;
  for (const TableNeed& need : needs) {
    PlacedTable& table = plan.emplace_back();
    table.kind = KindOf(need.config.placement());
    if (need.config.placement() == TableConfig::AUTO &&
        ReplicationPays(needs, need.width, world_size)) {
      table.kind = Partition::Kind::kReplicated;
    }
    const Partition partition(table.kind, need.rows, world_size);
    table.bytes = partition.MostOwnedRows() * BytesOfRow(need.config, need.width);
  }
  return plan;
}

std::vector<std::string> DescribePlan(std::span<const TableNeed> needs,
                                      std::span<const PlacedTable> plan) {
  size_t longest = 5;
  for (const TableNeed& need : needs) longest = std::max(longest, need.name.size());
  const auto width = static_cast<int>(longest);
  std::vector<std::string> lines = {absl::StrFormat("%-*s %12s %6s  %-14s %-16s %15s", width,
                                                    "table", "rows", "width", "placement",
                                                    "optimizer", "bytes per rank")};
  for (size_t t = 0; t < needs.size(); ++t) {
    lines.push_back(absl::StrFormat("%-*s %12d %6d  %-14s %-16s %15d", width, needs[t].name,
                                    needs[t].rows, needs[t].width, NameOf(plan[t].kind),
                                    OptimizerName(needs[t].config), plan[t].bytes));
  }
  return lines;
}

}  // namespace torii::sharding
