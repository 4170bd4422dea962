#include "comm/call.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/exit_code.h"
#include "base/status_macros.h"

namespace torii::comm {
namespace {

bool IsSupported(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
    case at::kDouble:
    case at::kLong:
    case at::kInt:
    case at::kByte:
    case at::kBFloat16:
      return true;
    default:
      return false;
  }
}

bool IsReduction(Op op) { return op == Op::kAllReduce || op == Op::kReduceScatterV; }

// The part of the shape on which all ranks must agree.
std::span<const int64_t> CommonShape(const Call& call) {
  const bool by_rows = call.op == Op::kAllGatherV || call.op == Op::kAllToAllV;
  return by_rows && !call.shape.empty() ? call.shape.subspan(1) : call.shape;
}

bool Agree(const Call& a, const Call& b) {
  const bool same_rows = a.op == Op::kAllToAllV || std::ranges::equal(a.rows, b.rows);
  return a.op == b.op && a.variant == b.variant && a.dtype == b.dtype && same_rows &&
         std::ranges::equal(CommonShape(a), CommonShape(b));
}

absl::Status CheckRowCounts(const Call& call, std::span<const int64_t> rows, int world_size) {
  if (rows.size() != static_cast<size_t>(world_size)) {
    return InternalError(absl::StrCat(ToText(call), ": ", rows.size(), " row counts for ",
                                      world_size, " ranks; give one per rank"));
  }
  for (const int64_t n : rows) {
    if (n < 0) {
      return InternalError(absl::StrCat(ToText(call), ": a row count is negative"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

const char* OpName(Op op) {
  switch (op) {
    case Op::kAllReduce:
      return "AllReduce";
    case Op::kAllGatherV:
      return "AllGatherV";
    case Op::kReduceScatterV:
      return "ReduceScatterV";
    case Op::kBroadcast:
      return "Broadcast";
    case Op::kAllToAllV:
      return "AllToAllV";
    case Op::kAllGatherBytes:
      return "AllGatherBytes";
    case Op::kAllToAll:
      return "AllToAll";
  }
  return "unknown operation";
}

Call DescribeCall(Op op, int64_t sequence, const at::Tensor& tensor, std::span<const int64_t> rows,
                  std::span<const int64_t> recv_rows) {
  Call call;
  call.op = op;
  call.sequence = sequence;
  if (tensor.defined()) {
    call.dtype = tensor.scalar_type();
    call.shape = {tensor.sizes().data(), tensor.sizes().size()};
  }
  call.rows = rows;
  call.recv_rows = recv_rows;
  return call;
}

Call DescribeAllGatherBytes(int64_t sequence, std::span<const int64_t> sizes) {
  return {.op = Op::kAllGatherBytes, .sequence = sequence, .rows = sizes};
}

Call DescribeAllToAll(int64_t sequence, std::span<const int64_t> numbers) {
  return {.op = Op::kAllToAll, .sequence = sequence, .dtype = at::kLong, .shape = numbers};
}

std::string ToText(const Call& call) {
  std::string text = OpName(call.op);
  if (call.op != Op::kAllGatherBytes) {
    absl::StrAppend(&text, " of ", c10::toString(call.dtype), " [", absl::StrJoin(call.shape, ", "),
                    "]");
  }
  if (call.op == Op::kAllReduce) {
    constexpr const char* kNames[] = {"sum", "min", "max"};
    absl::StrAppend(&text, ", ", kNames[call.variant]);
  }
  if (call.op == Op::kBroadcast) {
    absl::StrAppend(&text, " from rank ", call.variant);
  }
  // Long lists say no more than their beginning.
  const auto list = [](std::span<const int64_t> rows) {
    const size_t shown = std::min<size_t>(rows.size(), 16);
    return absl::StrCat("{",
                        absl::StrJoin(rows.begin(), rows.begin() + static_cast<long>(shown), ", "),
                        shown < rows.size() ? ", ...}" : "}");
  };
  if (call.op == Op::kAllGatherBytes) {
    absl::StrAppend(&text, " of sizes ", list(call.rows));
  } else if (!call.rows.empty()) {
    absl::StrAppend(&text, call.op == Op::kAllToAllV ? ", sends rows " : ", rows ",
                    list(call.rows));
  }
  if (!call.recv_rows.empty()) {
    absl::StrAppend(&text, ", receives rows ", list(call.recv_rows));
  }
  return absl::StrCat(text, " (call ", call.sequence, ")");
}

absl::Status CheckTensor(Op op, const at::Tensor& tensor, const char* back_end) {
  const auto error = [op](const std::string& what) {
    return InternalError(absl::StrCat(OpName(op), ": ", what));
  };
  if (!tensor.defined()) {
    return error("the tensor is undefined");
  }
  if (!tensor.device().is_cpu()) {
    return error(absl::StrCat("the ", back_end, " back end moves CPU tensors only, this one is on ",
                              tensor.device().str(), "; copy it to the CPU first"));
  }
  if (!IsSupported(tensor.scalar_type())) {
    return error(absl::StrCat("tensors of ", c10::toString(tensor.scalar_type()),
                              " do not travel; use float32, float64, int64, int32, uint8 or "
                              "bfloat16"));
  }
  if (IsReduction(op) && tensor.scalar_type() == at::kBFloat16) {
    return error("bfloat16 is not reduced; convert to float32 first");
  }
  if (!tensor.is_contiguous()) {
    return error("the tensor is not contiguous; call contiguous() first");
  }
  return absl::OkStatus();
}

absl::Status CheckCall(const Call& call, int rank, int world_size) {
  if (call.op == Op::kAllReduce) return absl::OkStatus();
  if (call.op == Op::kAllToAll) {
    if (call.shape[0] % world_size == 0) return absl::OkStatus();
    return InternalError(absl::StrCat(ToText(call), ": give each of ", world_size,
                                      " ranks as many values as the others"));
  }
  if (call.op == Op::kBroadcast) {
    if (call.variant < 0 || call.variant >= world_size) {
      return InternalError(
          absl::StrCat(ToText(call), ": the world has ranks 0 to ", world_size - 1));
    }
    return absl::OkStatus();
  }
  TORII_RETURN_IF_ERROR(CheckRowCounts(call, call.rows, world_size));
  if (call.op == Op::kAllGatherBytes) return absl::OkStatus();
  if (call.op == Op::kAllToAllV) {
    TORII_RETURN_IF_ERROR(CheckRowCounts(call, call.recv_rows, world_size));
    const size_t self = static_cast<size_t>(rank);
    if (call.rows[self] != call.recv_rows[self]) {
      return InternalError(absl::StrCat(ToText(call), ": rank ", rank, " sends itself ",
                                        call.rows[self], " rows but receives ",
                                        call.recv_rows[self], " from itself"));
    }
  }
  const int64_t expected =
      call.op == Op::kAllGatherV ? call.rows[static_cast<size_t>(rank)] : SumOfRows(call.rows);
  if (call.shape.empty() || call.shape[0] != expected) {
    return InternalError(absl::StrCat(ToText(call), ": the tensor of rank ", rank, " must have ",
                                      expected, " rows"));
  }
  return absl::OkStatus();
}

absl::Status CheckRoom(const Call& call, int rank, int world_size, size_t given, size_t room) {
  TORII_RETURN_IF_ERROR(CheckCall(call, rank, world_size));
  const bool gather = call.op == Op::kAllGatherBytes;
  const int64_t own = gather ? call.rows[static_cast<size_t>(rank)] : call.shape[0];
  const int64_t all = gather ? SumOfRows(call.rows) : call.shape[0];
  if (given == static_cast<size_t>(own) && room == static_cast<size_t>(all)) {
    return absl::OkStatus();
  }
  return InternalError(absl::StrCat(ToText(call), ": rank ", rank, " gives ", given,
                                    " elements and has room for ", room, ", not ", own, " and ",
                                    all));
}

absl::Status CheckSameCall(std::span<const Call* const> calls) {
  for (size_t r = 1; r < calls.size(); ++r) {
    if (!Agree(*calls[0], *calls[r])) {
      return InternalError(absl::StrCat("the ranks do not make the same call: rank 0: ",
                                        ToText(*calls[0]), "; rank ", r, ": ", ToText(*calls[r])));
    }
  }
  if (calls.empty() || calls[0]->op != Op::kAllToAllV) {
    return absl::OkStatus();
  }
  for (size_t from = 0; from < calls.size(); ++from) {
    for (size_t to = 0; to < calls.size(); ++to) {
      if (calls[from]->rows[to] != calls[to]->recv_rows[from]) {
        return InternalError(absl::StrCat(
            "the ranks do not agree on row counts: rank ", from, " sends ", calls[from]->rows[to],
            " rows to rank ", to, ", which expects ", calls[to]->recv_rows[from], "; rank ", from,
            ": ", ToText(*calls[from]), "; rank ", to, ": ", ToText(*calls[to])));
      }
    }
  }
  return absl::OkStatus();
}

int64_t SumOfRows(std::span<const int64_t> rows) {
  int64_t sum = 0;
  for (const int64_t n : rows) {
    sum += n;
  }
  return sum;
}

int64_t RowElements(const at::Tensor& tensor) {
  int64_t elements = 1;
  for (int64_t d = 1; d < tensor.dim(); ++d) {
    elements *= tensor.size(d);
  }
  return elements;
}

at::Tensor EmptyRows(const at::Tensor& in, int64_t rows) {
  std::vector<int64_t> sizes(in.sizes().begin(), in.sizes().end());
  sizes[0] = rows;
  return at::empty(sizes, in.options());
}

}  // namespace torii::comm
