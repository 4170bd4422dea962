#include "comm/in_process/in_process_control_plane.h"

#include <cstring>

#include "base/status_macros.h"

namespace torii::comm {

absl::Status InProcessControlPlane::Exchange(
    const Call& call, const void* in, absl::FunctionRef<void(std::span<const Offer> offers)> copy) {
  const Offer offer = {.call = &call, .in = in, .stop = stop_flag_.asked()};
  return calls_.Exchange(offer, [&](std::span<const Offer> offers) {
    for (const Offer& peer : offers) stop_flag_.Hear(peer.stop);
    copy(offers);
  });
}

absl::Status InProcessControlPlane::AllGatherBytes(std::span<const std::byte> mine,
                                                   std::span<const int64_t> sizes,
                                                   std::span<std::byte> all) {
  const Call call = DescribeAllGatherBytes(calls_.NextSequence(), sizes);
  TORII_RETURN_IF_ERROR(CheckRoom(call, rank(), world_size(), mine.size(), all.size()));
  return Exchange(call, mine.data(), [&](std::span<const Offer> offers) {
    std::byte* to = all.data();
    for (size_t r = 0; r < offers.size(); ++r) {
      const auto size = static_cast<size_t>(sizes[r]);
      if (size > 0) std::memcpy(to, offers[r].in, size);
      to += size;
    }
  });
}

absl::Status InProcessControlPlane::AllToAll(std::span<const int64_t> values,
                                             std::span<int64_t> received) {
  const auto count = static_cast<int64_t>(values.size());
  const Call call = DescribeAllToAll(calls_.NextSequence(), std::span(&count, 1));
  TORII_RETURN_IF_ERROR(CheckRoom(call, rank(), world_size(), values.size(), received.size()));
  const size_t each = values.size() / static_cast<size_t>(world_size());
  return Exchange(call, values.data(), [&](std::span<const Offer> offers) {
    if (each == 0) return;
    for (size_t r = 0; r < offers.size(); ++r) {
      const auto* from = static_cast<const int64_t*>(offers[r].in);
      std::memcpy(received.data() + r * each, from + static_cast<size_t>(rank()) * each,
                  each * sizeof(int64_t));
    }
  });
}

}  // namespace torii::comm
