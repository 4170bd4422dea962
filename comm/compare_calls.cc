#include "comm/compare_calls.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/status_macros.h"

namespace torii::comm {
namespace {

constexpr size_t kMaxDims = 8;
constexpr size_t kFixedWords = 5 + kMaxDims;

// A call as int64 words, the same number of them for every call of a world: fixed words, then [W]
// rows and [W] rows to receive, -1 where a call has none.
std::vector<int64_t> Encode(const Call& call, size_t world_size) {
  std::vector<int64_t> words(kFixedWords + 2 * world_size, -1);
  words[0] = static_cast<int64_t>(call.op);
  words[1] = call.sequence;
  words[2] = call.variant;
  words[3] = static_cast<int64_t>(call.dtype);
  words[4] = static_cast<int64_t>(call.shape.size());
  const auto put = [&](std::span<const int64_t> values, size_t at) {
    std::copy(values.begin(), values.end(), words.begin() + static_cast<std::ptrdiff_t>(at));
  };
  put(call.shape, 5);
  put(call.rows, kFixedWords);
  put(call.recv_rows, kFixedWords + world_size);
  return words;
}

// The call that `words` describe, which it refers to.
Call Decode(std::span<const int64_t> words, size_t world_size) {
  const auto get = [&](size_t at, size_t n) {
    const std::span<const int64_t> part = words.subspan(at, n);
    const bool given = !part.empty() && part[0] >= 0;
    return given ? part : std::span<const int64_t>();
  };
  return {.op = static_cast<Op>(words[0]),
          .sequence = words[1],
          .variant = words[2],
          .dtype = static_cast<at::ScalarType>(words[3]),
          .shape = get(5, static_cast<size_t>(words[4])),
          .rows = get(kFixedWords, world_size),
          .recv_rows = get(kFixedWords + world_size, world_size)};
}

}  // namespace

absl::Status CompareCalls(ControlPlane& control, const Call& call) {
  if (call.shape.size() > kMaxDims) {
    return InternalError(
        absl::StrCat(ToText(call), ": more than ", kMaxDims, " dimensions cannot be checked"));
  }
  TORII_RETURN_IF_ERROR(CheckCall(call, control.rank(), control.world_size()));
  const auto world = static_cast<size_t>(control.world_size());
  const std::vector<int64_t> mine = Encode(call, world);
  TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> all,
                         AllGatherValues(control, std::span<const int64_t>(mine)));
  std::vector<Call> calls;
  std::vector<const Call*> pointers;
  for (size_t r = 0; r < world; ++r) {
    calls.push_back(Decode(std::span(all).subspan(r * mine.size(), mine.size()), world));
  }
  for (const Call& peer : calls) pointers.push_back(&peer);
  return CheckSameCall(pointers);
}

}  // namespace torii::comm
