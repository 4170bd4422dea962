// What every back end must do, as one body that each rank of a group runs: all operations over
// dtypes, row counts (none, one, odd, many, uneven, zero on some ranks) and row shapes, compared
// with what one process computes from the inputs of all ranks.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "base/status_macros.h"
#include "comm/communicator.h"
#include "gtest/gtest.h"
#include "tests/comm/control_conformance.h"
#include "tests/support/run_on_ranks.h"

namespace torii::comm::testing {

inline constexpr at::ScalarType kDtypes[] = {at::kFloat, at::kDouble, at::kLong,
                                             at::kInt,   at::kByte,   at::kBFloat16};
using Shape = std::vector<int64_t>;
using Rows = std::vector<int64_t>;

// Small whole numbers that depend on the element and on `salt`: exact in every dtype, as are their
// sums over up to 11 ranks.
inline at::Tensor MakeInput(int64_t salt, const Shape& shape, at::ScalarType dtype) {
  int64_t elements = 1;
  for (const int64_t n : shape) {
    elements *= n;
  }
  const at::Tensor values = (at::arange(elements, at::kLong) * 7 + salt * 31).remainder(23);
  return values.to(dtype).reshape(shape);
}

inline Shape WithRows(int64_t rows, const Shape& row_shape) {
  Shape shape = {rows};
  shape.insert(shape.end(), row_shape.begin(), row_shape.end());
  return shape;
}

// The row counts of each rank, one list per case.
inline std::vector<Rows> RowCases(int world_size) {
  const size_t world = static_cast<size_t>(world_size);
  std::vector<Rows> cases = {Rows(world, 0), Rows(world, 1), Rows(world, 7), Rows(world, 0),
                             Rows(world),    Rows(world),    Rows(world)};
  cases[3].back() = 5;
  for (size_t r = 0; r < world; ++r) {
    const int64_t rank = static_cast<int64_t>(r);
    cases[4][r] = (rank * 5) % 7;         // rank 0 has none
    cases[5][r] = rank % 2 == 0 ? 3 : 0;  // every other rank has none
    cases[6][r] = 1013 + 2 * rank;        // many, uneven
  }
  return cases;
}

inline const std::vector<Shape>& RowShapes() {
  static const auto* const shapes = new std::vector<Shape>{{}, {3}, {2, 5}, {0}};
  return *shapes;
}

// The sum, minimum or maximum over dimension 0, exactly.
inline at::Tensor Reduced(const at::Tensor& stacked, ReduceOp op, at::ScalarType dtype) {
  const at::Tensor exact = stacked.to(at::kLong);
  const at::Tensor result = op == ReduceOp::kSum   ? exact.sum(0)
                            : op == ReduceOp::kMin ? exact.amin(0)
                                                   : exact.amax(0);
  return result.to(dtype);
}

inline absl::Status CheckAllReduce(Communicator& comm, at::ScalarType dtype) {
  for (const Shape& shape : {Shape{}, Shape{0}, Shape{1}, Shape{3, 0}, Shape{7}, Shape{2, 3, 5},
                             Shape{4099}, Shape{257, 33}}) {
    for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMin, ReduceOp::kMax}) {
      std::vector<at::Tensor> inputs;
      for (int r = 0; r < comm.world_size(); ++r) {
        inputs.push_back(MakeInput(r, shape, dtype));
      }
      at::Tensor mine = inputs[static_cast<size_t>(comm.rank())].clone();

      TORII_RETURN_IF_ERROR(comm.AllReduce(mine, op));

      TORII_EXPECT_OR_RETURN(at::equal(mine, Reduced(at::stack(inputs), op, dtype)));
    }
  }
  return absl::OkStatus();
}

inline absl::Status CheckBroadcast(Communicator& comm, at::ScalarType dtype) {
  for (const Shape& shape : {Shape{}, Shape{0}, Shape{1}, Shape{7, 3}, Shape{4099}}) {
    for (int root = 0; root < comm.world_size(); ++root) {
      at::Tensor mine = MakeInput(comm.rank(), shape, dtype);

      TORII_RETURN_IF_ERROR(comm.Broadcast(mine, root));

      TORII_EXPECT_OR_RETURN(at::equal(mine, MakeInput(root, shape, dtype)));
    }
  }
  return absl::OkStatus();
}

inline absl::Status CheckAllGatherV(Communicator& comm, at::ScalarType dtype, const Rows& rows,
                                    const Shape& row_shape) {
  std::vector<at::Tensor> inputs;
  for (size_t r = 0; r < rows.size(); ++r) {
    inputs.push_back(MakeInput(static_cast<int64_t>(r), WithRows(rows[r], row_shape), dtype));
  }
  const at::Tensor& mine = inputs[static_cast<size_t>(comm.rank())];

  TORII_ASSIGN_OR_RETURN(const at::Tensor all, comm.AllGatherV(mine, rows));
  TORII_ASSIGN_OR_RETURN(const at::Tensor counted, AllGatherRows(comm, mine));

  TORII_EXPECT_OR_RETURN(at::equal(all, at::cat(inputs)));
  TORII_EXPECT_OR_RETURN(at::equal(counted, at::cat(inputs)));
  return absl::OkStatus();
}

inline absl::Status CheckReduceScatterV(Communicator& comm, at::ScalarType dtype, const Rows& rows,
                                        const Shape& row_shape) {
  int64_t total = 0;
  int64_t before = 0;
  for (size_t r = 0; r < rows.size(); ++r) {
    before += static_cast<int>(r) < comm.rank() ? rows[r] : 0;
    total += rows[r];
  }
  std::vector<at::Tensor> inputs;
  for (int r = 0; r < comm.world_size(); ++r) {
    inputs.push_back(MakeInput(r, WithRows(total, row_shape), dtype));
  }
  const at::Tensor& mine = inputs[static_cast<size_t>(comm.rank())];

  TORII_ASSIGN_OR_RETURN(const at::Tensor slice, comm.ReduceScatterV(mine, rows));

  const at::Tensor sum = Reduced(at::stack(inputs), ReduceOp::kSum, dtype);
  TORII_EXPECT_OR_RETURN(
      at::equal(slice, sum.narrow(0, before, rows[static_cast<size_t>(comm.rank())])));
  // The input is not written to.
  TORII_EXPECT_OR_RETURN(
      at::equal(mine, MakeInput(comm.rank(), WithRows(total, row_shape), dtype)));
  return absl::OkStatus();
}

// Rank r sends rows[(r + q) mod W] rows to rank q, marked with both.
inline absl::Status CheckAllToAllV(Communicator& comm, at::ScalarType dtype, const Rows& rows,
                                   const Shape& row_shape) {
  const int world = comm.world_size();
  const auto message = [&](int from, int to) {
    const int64_t n = rows[static_cast<size_t>((from + to) % world)];
    return MakeInput(from * 3 + to * 5, WithRows(n, row_shape), dtype);
  };
  std::vector<at::Tensor> sent;
  std::vector<at::Tensor> expected;
  Rows send_rows;
  Rows recv_rows;
  for (int peer = 0; peer < world; ++peer) {
    sent.push_back(message(comm.rank(), peer));
    expected.push_back(message(peer, comm.rank()));
    send_rows.push_back(sent.back().size(0));
    recv_rows.push_back(expected.back().size(0));
  }

  TORII_ASSIGN_OR_RETURN(const Rows counts, ExchangeCounts(comm.control(), send_rows));
  TORII_ASSIGN_OR_RETURN(const at::Tensor received,
                         comm.AllToAllV(at::cat(sent), send_rows, recv_rows));

  TORII_EXPECT_OR_RETURN(counts == recv_rows);
  TORII_EXPECT_OR_RETURN(at::equal(received, at::cat(expected)));
  return absl::OkStatus();
}

// Numbers whose float sum depends on the order: every rank must get the bits of the sum in rank
// order.
inline absl::Status CheckSumsInRankOrder(Communicator& comm) {
  for (const int64_t n : {5, 20011}) {
    std::vector<at::Tensor> inputs;
    for (int r = 0; r < comm.world_size(); ++r) {
      inputs.push_back((at::arange(n, at::kFloat) * 0.7311f + static_cast<float>(r)).sin() *
                       (r % 2 == 0 ? 1e4f : 1.0f));
    }
    at::Tensor expected = inputs[0].clone();
    for (size_t r = 1; r < inputs.size(); ++r) {
      expected += inputs[r];
    }
    at::Tensor mine = inputs[static_cast<size_t>(comm.rank())].clone();
    Rows rows(static_cast<size_t>(comm.world_size()), 0);
    rows.back() = n;

    TORII_ASSIGN_OR_RETURN(const at::Tensor slice, comm.ReduceScatterV(mine, rows));
    TORII_RETURN_IF_ERROR(comm.AllReduce(mine, ReduceOp::kSum));

    TORII_EXPECT_OR_RETURN(at::equal(mine, expected));
    if (comm.rank() == comm.world_size() - 1) {
      TORII_EXPECT_OR_RETURN(at::equal(slice, expected));
    }
  }
  return absl::OkStatus();
}

// The same numbers give the same bits again, whatever the order of a sum.
inline absl::Status CheckSumsRepeat(Communicator& comm) {
  const int64_t world = comm.world_size();
  const at::Tensor mine = (at::arange(world * 1013, at::kFloat) * 0.7311f + comm.rank()).sin();
  const Rows even(static_cast<size_t>(world), 1013);
  Rows uneven = even;
  uneven.front() -= 5;
  uneven.back() += 5;
  std::vector<at::Tensor> sums;
  for (int run = 0; run < 2; ++run) {
    at::Tensor all = mine.clone();
    TORII_RETURN_IF_ERROR(comm.AllReduce(all, ReduceOp::kSum));
    TORII_ASSIGN_OR_RETURN(const at::Tensor slice, comm.ReduceScatterV(mine, even));
    TORII_ASSIGN_OR_RETURN(const at::Tensor other, comm.ReduceScatterV(mine, uneven));
    sums.push_back(at::cat({all, slice, other}));
  }
  TORII_EXPECT_OR_RETURN(at::equal(sums[0], sums[1]));
  return absl::OkStatus();
}

// A NaN of one rank reaches all ranks, in every reduction, and only in its place.
inline absl::Status CheckNanInTensors(Communicator& comm) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    for (int from = 0; from < comm.world_size(); ++from) {
      for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMin, ReduceOp::kMax}) {
        at::Tensor mine = at::ones({9}, dtype);
        if (comm.rank() == from) mine[4].fill_(std::nan(""));

        TORII_RETURN_IF_ERROR(comm.AllReduce(mine, op));

        TORII_EXPECT_OR_RETURN(at::equal(mine.ne(mine), at::arange(9).eq(4)));
      }
    }
  }
  return absl::OkStatus();
}

// On every world size: who writes to the input afterwards changes no result, and the other way
// round.
inline absl::Status CheckResultsAreNewMemory(Communicator& comm) {
  const int64_t world = comm.world_size();
  const Rows rows(static_cast<size_t>(world), 1);
  at::Tensor one = at::ones({1, 2});
  at::Tensor all = at::ones({world, 2});
  TORII_ASSIGN_OR_RETURN(at::Tensor gathered, comm.AllGatherV(one, rows));
  TORII_ASSIGN_OR_RETURN(at::Tensor counted, AllGatherRows(comm, one));
  TORII_ASSIGN_OR_RETURN(at::Tensor reduced, comm.ReduceScatterV(all, rows));
  TORII_ASSIGN_OR_RETURN(at::Tensor exchanged, comm.AllToAllV(all, rows, rows));

  one.fill_(7);
  all.fill_(7);

  TORII_EXPECT_OR_RETURN(at::equal(gathered, at::ones({world, 2})));
  TORII_EXPECT_OR_RETURN(at::equal(counted, at::ones({world, 2})));
  TORII_EXPECT_OR_RETURN(at::equal(reduced, at::full({1, 2}, static_cast<float>(world))));
  TORII_EXPECT_OR_RETURN(at::equal(exchanged, at::ones({world, 2})));
  for (at::Tensor& result :
       {std::ref(gathered), std::ref(counted), std::ref(reduced), std::ref(exchanged)}) {
    result.fill_(9);
  }
  TORII_EXPECT_OR_RETURN(at::equal(one, at::full({1, 2}, 7.0f)));
  TORII_EXPECT_OR_RETURN(at::equal(all, at::full({world, 2}, 7.0f)));
  return absl::OkStatus();
}

inline absl::Status CheckCallsForReading(Communicator& comm) {
  const int64_t world = comm.world_size();
  const Rows rows(static_cast<size_t>(world), 3);
  const at::Tensor mine = MakeInput(comm.rank(), {3, 2}, at::kFloat);
  const at::Tensor all = MakeInput(comm.rank(), {3 * world, 2}, at::kFloat);
  TORII_ASSIGN_OR_RETURN(const at::Tensor gathered, AllGatherForReading(comm, mine, rows));
  TORII_ASSIGN_OR_RETURN(const at::Tensor reduced, ReduceScatterForReading(comm, all, rows));
  TORII_ASSIGN_OR_RETURN(const at::Tensor exchanged, AllToAllForReading(comm, all, rows, rows));
  TORII_ASSIGN_OR_RETURN(const at::Tensor exchanged_copy, comm.AllToAllV(all, rows, rows));
  TORII_ASSIGN_OR_RETURN(const at::Tensor gathered_copy, comm.AllGatherV(mine, rows));
  TORII_ASSIGN_OR_RETURN(const at::Tensor reduced_copy, comm.ReduceScatterV(all, rows));
  TORII_EXPECT_OR_RETURN(at::equal(gathered, gathered_copy));
  TORII_EXPECT_OR_RETURN(at::equal(reduced, reduced_copy));
  TORII_EXPECT_OR_RETURN(at::equal(exchanged, exchanged_copy));
  TORII_EXPECT_OR_RETURN(exchanged.is_same(all) == (world == 1));
  TORII_EXPECT_OR_RETURN(gathered.is_same(mine) == (world == 1));
  TORII_EXPECT_OR_RETURN(reduced.is_same(all) == (world == 1));
  // Wrong counts are refused on every world size.
  const Rows wrong(static_cast<size_t>(world), 2);
  TORII_EXPECT_OR_RETURN(!AllGatherForReading(comm, mine, wrong).ok());
  TORII_EXPECT_OR_RETURN(!ReduceScatterForReading(comm, all, wrong).ok());
  TORII_EXPECT_OR_RETURN(!AllToAllForReading(comm, all, wrong, rows).ok());
  return absl::OkStatus();
}

// For back ends that take sums in an order of their own.
inline absl::Status CheckConformanceInAnyOrder(Communicator& comm) {
  for (const at::ScalarType dtype : kDtypes) {
    if (dtype != at::kBFloat16) {
      TORII_RETURN_IF_ERROR(CheckAllReduce(comm, dtype));
    }
    TORII_RETURN_IF_ERROR(CheckBroadcast(comm, dtype));
    for (const Rows& rows : RowCases(comm.world_size())) {
      for (const Shape& row_shape : RowShapes()) {
        TORII_RETURN_IF_ERROR(CheckAllGatherV(comm, dtype, rows, row_shape));
        TORII_RETURN_IF_ERROR(CheckAllToAllV(comm, dtype, rows, row_shape));
        if (dtype != at::kBFloat16) {
          TORII_RETURN_IF_ERROR(CheckReduceScatterV(comm, dtype, rows, row_shape));
        }
      }
    }
  }
  TORII_RETURN_IF_ERROR(CheckSumsRepeat(comm));
  TORII_RETURN_IF_ERROR(CheckNanInTensors(comm));
  TORII_RETURN_IF_ERROR(CheckNanReachesAll(comm.control()));
  TORII_RETURN_IF_ERROR(CheckResultsAreNewMemory(comm));
  TORII_RETURN_IF_ERROR(CheckCallsForReading(comm));
  TORII_RETURN_IF_ERROR(CheckControlPlane(comm.control()));
  TORII_RETURN_IF_ERROR(CheckDuplicate(comm));
  TORII_RETURN_IF_ERROR(CheckStopFlag(comm));
  return CheckConveniences(comm.control());
}

// For back ends that take sums in rank order.
inline absl::Status CheckConformance(Communicator& comm) {
  TORII_RETURN_IF_ERROR(CheckSumsInRankOrder(comm));
  return CheckConformanceInAnyOrder(comm);
}

}  // namespace torii::comm::testing
