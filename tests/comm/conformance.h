// What every back end must do, as one body that each rank of a group runs: all operations over
// dtypes, row counts (none, one, odd, many, uneven, zero on some ranks) and row shapes, compared
// with what one process computes from the inputs of all ranks.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "base/status_macros.h"
#include "comm/communicator.h"
#include "gtest/gtest.h"
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

// A NaN on one rank reaches all, wherever it stands in rank order.
inline absl::Status CheckNanReachesAll(Communicator& comm) {
  for (int from = 0; from < comm.world_size(); ++from) {
    for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMin, ReduceOp::kMax}) {
      const double mine = comm.rank() == from ? std::nan("") : 1.0;
      TORII_ASSIGN_OR_RETURN(const double all, AllReduceValue(comm.control(), mine, op));
      TORII_EXPECT_OR_RETURN(all != all);
    }
  }
  return absl::OkStatus();
}

inline absl::Status CheckConveniences(Communicator& comm) {
  const int64_t world = comm.world_size();
  TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> squares,
                         AllGatherValue(comm.control(), int64_t{comm.rank()} * comm.rank()));
  for (int64_t r = 0; r < world; ++r) {
    TORII_EXPECT_OR_RETURN(squares[static_cast<size_t>(r)] == r * r);
  }
  TORII_ASSIGN_OR_RETURN(const int64_t sum,
                         AllReduceValue(comm.control(), int64_t{1} << 40, ReduceOp::kSum));
  TORII_EXPECT_OR_RETURN(sum == world << 40);
  TORII_ASSIGN_OR_RETURN(const double least,
                         AllReduceValue(comm.control(), -0.5 * comm.rank(), ReduceOp::kMin));
  TORII_EXPECT_OR_RETURN(least == -0.5 * static_cast<double>(world - 1));
  for (const std::string& text : {std::string(), std::string("a\0b\n", 4)}) {
    const int root = comm.world_size() - 1;
    const std::string mine = comm.rank() == root ? text : "ignored";
    TORII_ASSIGN_OR_RETURN(const std::string all, BroadcastText(comm.control(), mine, root));
    TORII_EXPECT_OR_RETURN(all == text);
  }
  return Barrier(comm.control());
}

inline absl::Status CheckASingleRankCopiesNothing(Communicator& comm) {
  if (comm.world_size() > 1) return absl::OkStatus();
  const at::Tensor in = at::ones({3, 2});
  const Rows rows = {3};
  TORII_ASSIGN_OR_RETURN(const at::Tensor gathered, comm.AllGatherV(in, rows));
  TORII_ASSIGN_OR_RETURN(const at::Tensor reduced, comm.ReduceScatterV(in, rows));
  TORII_ASSIGN_OR_RETURN(const at::Tensor exchanged, comm.AllToAllV(in, rows, rows));
  for (const at::Tensor& out : {gathered, reduced, exchanged}) {
    TORII_EXPECT_OR_RETURN(out.is_same(in));
  }
  return absl::OkStatus();
}

inline absl::Status CheckConformance(Communicator& comm) {
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
  TORII_RETURN_IF_ERROR(CheckSumsInRankOrder(comm));
  TORII_RETURN_IF_ERROR(CheckNanReachesAll(comm));
  TORII_RETURN_IF_ERROR(CheckASingleRankCopiesNothing(comm));
  return CheckConveniences(comm);
}

}  // namespace torii::comm::testing
