#include "comm/mpi/mpi_control_plane.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "comm/mpi/mpi_status.h"

namespace torii::comm {
namespace {

void Copy(void* to, const void* from, size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

// `bytes` to and from each peer, at its place in `call.sent` and `call.received`.
absl::Status PostToAll(const MpiChannel& channel, size_t bytes, PendingCall& call) {
  const auto size = static_cast<int>(bytes);
  for (int step = 1; step < channel.world_size(); ++step) {
    const int from = (channel.rank() + channel.world_size() - step) % channel.world_size();
    TORII_MPI_RETURN_IF_ERROR(MPI_Irecv(call.received.data() + static_cast<size_t>(from) * bytes,
                                        size, MPI_BYTE, from, channel.Tag(), channel.comm(),
                                        call.AddRequest()));
  }
  for (int step = 1; step < channel.world_size(); ++step) {
    const int to = (channel.rank() + step) % channel.world_size();
    TORII_MPI_RETURN_IF_ERROR(MPI_Isend(call.sent.data() + static_cast<size_t>(to) * bytes, size,
                                        MPI_BYTE, to, channel.Tag(), channel.comm(),
                                        call.AddRequest()));
  }
  return absl::OkStatus();
}

}  // namespace

// In front of the bytes of each rank travels one that says whether it asks for a stop. More than
// one message takes in rounds, each of at most `most` bytes of each rank.
absl::Status MpiControlPlane::AllGatherBytes(std::span<const std::byte> mine,
                                             std::span<const int64_t> sizes,
                                             std::span<std::byte> all) {
  MpiChannel& channel = *channel_;
  const Call call = DescribeAllGatherBytes(channel.NextSequence(), sizes);
  TORII_RETURN_IF_ERROR(channel.Start(call));
  TORII_RETURN_IF_ERROR(
      CheckRoom(call, Rank{rank()}, WorldSize{world_size()}, mine.size(), all.size()));
  const int64_t most = std::max<int64_t>(channel.ChunkElements(1) / world_size() - 1, 1);
  const int64_t largest = *std::max_element(sizes.begin(), sizes.end());
  for (int64_t start = 0; start == 0 || start < largest; start += most) {
    const auto in_round = [&](size_t r) { return std::clamp<int64_t>(sizes[r] - start, 0, most); };
    auto pending = std::make_unique<PendingCall>();
    int64_t total = 0;
    for (size_t r = 0; r < sizes.size(); ++r) {
      pending->counts.push_back(static_cast<int>(1 + in_round(r)));
      pending->displacements.push_back(static_cast<int>(total));
      total += 1 + in_round(r);
    }
    pending->received.resize(static_cast<size_t>(total));
    const auto self = static_cast<size_t>(rank());
    std::byte* own = pending->received.data() + pending->displacements[self];
    own[0] = std::byte{stop_flag_.asked()};
    Copy(own + 1, mine.data() + start, static_cast<size_t>(in_round(self)));
    TORII_RETURN_IF_ERROR(channel.Run(pending, [&](PendingCall& posted) {
      return TORII_MPI_STATUS(MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_BYTE, posted.received.data(),
                                              posted.counts.data(), posted.displacements.data(),
                                              MPI_BYTE, channel.comm(), posted.AddRequest()));
    }));
    int64_t before = 0;
    for (size_t r = 0; r < sizes.size(); ++r) {
      const std::byte* from = pending->received.data() + pending->displacements[r];
      stop_flag_.Hear(from[0] != std::byte{0});
      Copy(all.data() + before + start, from + 1, static_cast<size_t>(in_round(r)));
      before += sizes[r];
    }
  }
  return absl::OkStatus();
}

// In front of the values for each rank travels one that says whether this rank asks for a stop.
absl::Status MpiControlPlane::AllToAll(std::span<const int64_t> values,
                                       std::span<int64_t> received) {
  MpiChannel& channel = *channel_;
  const auto count = static_cast<int64_t>(values.size());
  const Call call = DescribeAllToAll(channel.NextSequence(), std::span(&count, 1));
  TORII_RETURN_IF_ERROR(channel.Start(call));
  TORII_RETURN_IF_ERROR(
      CheckRoom(call, Rank{rank()}, WorldSize{world_size()}, values.size(), received.size()));
  const auto world = static_cast<size_t>(world_size());
  const size_t each = values.size() / world;
  const size_t stride = (1 + each) * sizeof(int64_t);
  if (stride > std::numeric_limits<int>::max()) {
    return InternalError(absl::StrCat(ToText(call), ": too much for one message"));
  }
  auto pending = std::make_unique<PendingCall>();
  pending->sent.resize(world * stride);
  pending->received.resize(world * stride);
  const int64_t stop = stop_flag_.asked() ? 1 : 0;
  for (size_t r = 0; r < world; ++r) {
    std::byte* to = pending->sent.data() + r * stride;
    Copy(to, &stop, sizeof(stop));
    Copy(to + sizeof(stop), values.data() + r * each, each * sizeof(int64_t));
  }
  const auto self = static_cast<size_t>(rank());
  std::memcpy(pending->received.data() + self * stride, pending->sent.data() + self * stride,
              stride);
  TORII_RETURN_IF_ERROR(channel.Run(
      pending, [&](PendingCall& posted) { return PostToAll(channel, stride, posted); }));
  for (size_t r = 0; r < world; ++r) {
    const std::byte* from = pending->received.data() + r * stride;
    int64_t asked = 0;
    Copy(&asked, from, sizeof(asked));
    stop_flag_.Hear(asked != 0);
    Copy(received.data() + r * each, from + sizeof(asked), each * sizeof(int64_t));
  }
  return absl::OkStatus();
}

}  // namespace torii::comm
