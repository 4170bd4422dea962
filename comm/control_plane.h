// Small things that ranks tell one another: numbers, texts, errors. Always on the host, whatever
// device the tensors of a Communicator lie on; nothing of it waits for a device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "comm/stop_flag.h"

namespace torii::comm {

enum class ReduceOp { kSum, kMin, kMax };

// Belongs to a Communicator (Communicator::control()), lives as long as it does and is used by the
// same thread. Every call is collective: all ranks make the same calls in the same order, also in
// relation to the calls of the Communicator. A call returns when its result is there. Errors are
// those of the Communicator.
class ControlPlane {
 public:
  virtual ~ControlPlane() = default;
  virtual int rank() const = 0;
  virtual int world_size() const = 0;

  // The bytes of all ranks, in rank order. `sizes` [W] (the same on all ranks) says how many each
  // contributes; `mine` has sizes[rank] of them, `all` has room for the sum.
  virtual absl::Status AllGatherBytes(std::span<const std::byte> mine,
                                      std::span<const int64_t> sizes, std::span<std::byte> all) = 0;
  // n numbers for each rank: values[q * n + i] goes to rank q, received[q * n + i] came from rank
  // q. Both have W * n elements; n is the same on all ranks.
  virtual absl::Status AllToAll(std::span<const int64_t> values, std::span<int64_t> received) = 0;
  // A wish to stop that travels with the two calls above.
  virtual StopFlag& stop_flag() = 0;
};

// Conveniences on top of the interface; collective like what they call.

// The same number of values from each rank: n of them -> [W * n] in rank order.
template <typename T>
  requires std::is_trivially_copyable_v<T>
absl::StatusOr<std::vector<T>> AllGatherValues(ControlPlane& control, std::span<const T> mine) {
  const auto world_size = static_cast<size_t>(control.world_size());
  std::vector<T> all(world_size * mine.size());
  const std::vector<int64_t> sizes(world_size, static_cast<int64_t>(mine.size_bytes()));
  TORII_RETURN_IF_ERROR(control.AllGatherBytes(std::as_bytes(mine), sizes,
                                               std::as_writable_bytes(std::span<T>(all))));
  return all;
}

// One value, a number or a plain struct, from each rank: [W] in rank order.
template <typename T>
absl::StatusOr<std::vector<T>> AllGatherValue(ControlPlane& control, const T& mine) {
  return AllGatherValues<T>(control, std::span<const T>(&mine, 1));
}

// The sum, minimum or maximum over the ranks, in rank order; a NaN on any rank makes it NaN.
absl::StatusOr<int64_t> AllReduceValue(ControlPlane& control, int64_t mine, ReduceOp op);
absl::StatusOr<double> AllReduceValue(ControlPlane& control, double mine, ReduceOp op);

// Row counts for Communicator::AllToAllV: what I send to each rank [W] -> what each sends to me.
absl::StatusOr<std::vector<int64_t>> ExchangeCounts(ControlPlane& control,
                                                    std::span<const int64_t> send_rows);

// The text of rank `root`, on all ranks; those of the other ranks are ignored.
absl::StatusOr<std::string> BroadcastText(ControlPlane& control, const std::string& text, int root);
// The texts of all ranks, in rank order, on all ranks.
absl::StatusOr<std::vector<std::string>> AllGatherTexts(ControlPlane& control,
                                                        const std::string& mine);

// OK on all ranks if `mine` is OK on all; else every rank gets an error: its own, or the first
// other rank's with "rank r: " before its message and its exit code.
absl::Status AgreeOnStatus(ControlPlane& control, const absl::Status& mine);

// Returns once every rank has called it.
absl::Status Barrier(ControlPlane& control);

}  // namespace torii::comm
