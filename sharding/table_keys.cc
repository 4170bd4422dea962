#include "sharding/table_keys.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace torii::sharding {

TableKeys::TableKeys(std::vector<Table> tables, Partition::Kind kind, int world_size)
    : tables_(std::move(tables)),
      kind_(kind),
      owners_(kind == Partition::Kind::kReplicated ? 1 : world_size) {
  first_slot_.push_back(0);
  for (const Table& table : tables_) {
    partitions_.emplace_back(kind, table.rows, world_size);
    first_slot_.push_back(first_slot_.back() + partitions_.back().MostOwnedRows());
  }
}

const TableKeys::Table& TableKeys::table(int number) const {
  TORII_CHECK(number >= 0 && number < num_tables(), "table ", number, " of ", num_tables());
  return tables_[static_cast<size_t>(number)];
}

const Partition& TableKeys::partition(int table) const {
  TORII_CHECK(table >= 0 && table < num_tables(), "table ", table, " of ", num_tables());
  return partitions_[static_cast<size_t>(table)];
}

int64_t TableKeys::Key(int table, int64_t row) const {
  const Table& asked = this->table(table);
  TORII_CHECK(row >= 0 && row < asked.rows, "row ", row, " of table '", asked.name, "', which has ",
              asked.rows);
  int64_t key = 0;
  Fill(table, {&row, 1}, {&key, 1});
  return key;
}

void TableKeys::Fill(int table, std::span<const int64_t> rows, std::span<int64_t> keys) const {
  TORII_CHECK(rows.size() == keys.size(), keys.size(), " places for the keys of ", rows.size(),
              " rows");
  const Partition& partition = this->partition(table);
  const int64_t first_key = first_slot(table) * owners_;
  if (kind_ != Partition::Kind::kBlocks) {
    // Slot * W + owner is the row itself.
    std::transform(rows.begin(), rows.end(), keys.begin(),
                   [first_key](int64_t row) { return first_key + row; });
    return;
  }
  std::transform(rows.begin(), rows.end(), keys.begin(), [&](int64_t row) {
    TORII_CHECK(row >= 0 && row < partition.rows(), "row ", row, " of table '",
                this->table(table).name, "', which has ", partition.rows());
    return first_key + partition.Slot(row) * owners_ + partition.Owner(row);
  });
}

void TableKeys::CheckKeys(std::span<const int64_t> keys) const {
  const int64_t end = slots() * owners_;
  for (const int64_t key : keys) {
    TORII_CHECK(key >= 0 && key < end, "key ", key, " of a key space of ", end);
    if (owners_ > 1) CheckKey(key);
  }
}

void TableKeys::CheckKey(int64_t key) const {
  const int64_t slot = SlotOfKey(key, owners_);
  const int owner = OwnerOfKey(key, owners_);
  const auto next = std::upper_bound(first_slot_.begin(), first_slot_.end(), slot);
  const auto table = static_cast<size_t>(next - first_slot_.begin()) - 1;
  const int64_t held = partitions_[table].OwnedRows(owner);
  TORII_CHECK(slot - first_slot_[table] < held, "key ", key, " is slot ", slot - first_slot_[table],
              " of table '", tables_[table].name, "' on rank ", owner, ", which holds ", held,
              " of its rows");
}

}  // namespace torii::sharding
