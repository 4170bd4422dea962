// Keys: one number for each row of the tables of a group, so that one list of numbers may ask rows
// of several tables and one exchange serves them all.
//
// On each rank the tables lie one behind the other, each with as many slots as the rank with most
// of its rows needs. A key is slot * W + owner for every kind of partition, so that owner and slot
// follow from the key alone. If the tables are replicated, a key is the slot, as in a world of one
// rank.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/partition.h"

namespace torii::sharding {

constexpr int OwnerOfKey(int64_t key, int world_size) { return static_cast<int>(key % world_size); }
constexpr int64_t SlotOfKey(int64_t key, int world_size) { return key / world_size; }

class TableKeys {
 public:
  struct Table {
    std::string name;
    int64_t rows = 0;
  };
  TableKeys(std::vector<Table> tables, Partition::Kind kind, int world_size);

  Partition::Kind kind() const { return kind_; }
  // W, or 1 where the tables are replicated: the number of different owners in keys.
  int owners() const { return owners_; }
  int64_t num_tables() const { return static_cast<int64_t>(tables_.size()); }
  const Table& table(int number) const;
  const Partition& partition(int table) const;
  // Slots of this group on any rank, and the first one of a table.
  int64_t slots() const { return first_slot_.back(); }
  int64_t first_slot(int table) const { return first_slot_[static_cast<size_t>(table)]; }

  // CHECK-fails unless the table has the row.
  int64_t Key(int table, int64_t row) const;
  // keys[i] = Key(table, rows[i]), without the check: CheckKeys finds keys of rows that do not
  // exist.
  void Fill(int table, std::span<const int64_t> rows, std::span<int64_t> keys) const;
  // CHECK-fails unless each key is that of a row. If W does not divide the rows of a table, some
  // ranks have a slot that holds no row.
  void CheckKeys(std::span<const int64_t> keys) const;

 private:
  void CheckKey(int64_t key) const;

  const std::vector<Table> tables_;
  const Partition::Kind kind_;
  const int owners_;
  std::vector<Partition> partitions_;  // [tables]
  std::vector<int64_t> first_slot_;    // [tables + 1]
};

}  // namespace torii::sharding
