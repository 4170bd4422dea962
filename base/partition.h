// Which rank holds which row of a table, and at which slot. Nothing else computes this.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/split_evenly.h"

namespace torii {

// A value: the rows of one table over the ranks of one world. Rows and slots count from 0.
//
// Whatever the kind: the slots of a rank are dense and keep the order of its rows, so that
// comparing slots of one rank compares rows; rank 0 holds at least as many rows as any other rank.
class Partition {
 public:
  enum class Kind : uint8_t {
    kRowModWorld,  // row r on rank r mod W: neighbours lie on different ranks
    kBlocks,       // rank r holds one block of neighbouring rows, as SplitEvenly cuts them
    kReplicated,   // every rank holds every row
  };

  // rows >= 0, world_size >= 1.
  constexpr Partition(Kind kind, int64_t rows, int world_size)
      : rows_(rows),
        world_size_(world_size),
        kind_(kind),
        long_blocks_(rows % world_size),
        short_block_(rows / world_size) {}
  static constexpr Partition RowModWorld(int64_t rows, int world_size) {
    return {Kind::kRowModWorld, rows, world_size};
  }
  static constexpr Partition Blocks(int64_t rows, int world_size) {
    return {Kind::kBlocks, rows, world_size};
  }
  static constexpr Partition Replicated(int64_t rows, int world_size) {
    return {Kind::kReplicated, rows, world_size};
  }

  constexpr Kind kind() const { return kind_; }
  constexpr int64_t rows() const { return rows_; }
  constexpr int world_size() const { return world_size_; }
  constexpr bool is_replicated() const { return kind_ == Kind::kReplicated; }

  // The rank that answers for a row. Replicated: rank 0, although each rank has the row.
  constexpr int Owner(int64_t row) const {
    switch (kind_) {
      case Kind::kRowModWorld:
        return static_cast<int>(row % world_size_);
      case Kind::kBlocks:
        return static_cast<int>(row < RowsOfLongBlocks()
                                    ? row / (short_block_ + 1)
                                    : long_blocks_ + (row - RowsOfLongBlocks()) / short_block_);
      case Kind::kReplicated:
        return 0;
    }
    return 0;
  }
  // Where the ranks that hold the row keep it: [0, OwnedRows(rank)).
  constexpr int64_t Slot(int64_t row) const {
    switch (kind_) {
      case Kind::kRowModWorld:
        return row / world_size_;
      case Kind::kBlocks:
        return row - BlockBegin(Owner(row));
      case Kind::kReplicated:
        return row;
    }
    return 0;
  }
  // The row that a rank keeps at a slot.
  constexpr int64_t Row(int rank, int64_t slot) const {
    switch (kind_) {
      case Kind::kRowModWorld:
        return rank + slot * world_size_;
      case Kind::kBlocks:
        return BlockBegin(rank) + slot;
      case Kind::kReplicated:
        return slot;
    }
    return 0;
  }
  constexpr bool Holds(int rank, int64_t row) const {
    return is_replicated() || Owner(row) == rank;
  }
  // How many rows a rank holds.
  constexpr int64_t OwnedRows(int rank) const {
    return is_replicated() ? rows_ : short_block_ + (rank < long_blocks_ ? 1 : 0);
  }
  // Of any rank.
  constexpr int64_t MostOwnedRows() const { return OwnedRows(0); }
  // How many of a rank's rows are smaller than `row`, which is in [0, rows()]: the slots below it.
  constexpr int64_t OwnedBefore(int rank, int64_t row) const {
    switch (kind_) {
      case Kind::kRowModWorld:
        return (row + world_size_ - 1 - rank) / world_size_;
      case Kind::kBlocks: {
        const int64_t below = row - BlockBegin(rank);
        return below < 0 ? 0 : below < OwnedRows(rank) ? below : OwnedRows(rank);
      }
      case Kind::kReplicated:
        return row;
    }
    return 0;
  }

  friend constexpr bool operator==(const Partition&, const Partition&) = default;

 private:
  constexpr int64_t RowsOfLongBlocks() const { return long_blocks_ * (short_block_ + 1); }
  constexpr int64_t BlockBegin(int rank) const {
    return SplitEvenly(rows_, world_size_, rank).begin;
  }

  int64_t rows_;
  int world_size_;
  Kind kind_;
  // Of an even split: the first rows mod W ranks have one row more than the others.
  int64_t long_blocks_, short_block_;
};

// The name of a kind in files and logs: "row mod world", "blocks", "replicated".
constexpr std::string_view NameOf(Partition::Kind kind) {
  switch (kind) {
    case Partition::Kind::kRowModWorld:
      return "row mod world";
    case Partition::Kind::kBlocks:
      return "blocks";
    case Partition::Kind::kReplicated:
      return "replicated";
  }
  return "";
}

// nullopt: no kind is called so.
constexpr std::optional<Partition::Kind> PartitionKindOf(std::string_view name) {
  for (const Partition::Kind kind :
       {Partition::Kind::kRowModWorld, Partition::Kind::kBlocks, Partition::Kind::kReplicated}) {
    if (NameOf(kind) == name) return kind;
  }
  return std::nullopt;
}

}  // namespace torii
