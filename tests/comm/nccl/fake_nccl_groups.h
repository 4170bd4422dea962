// How the stand-in for NCCL (fake_nccl.h) carries out groups: it matches those at the heads of the
// ranks' streams. One lock for everything, held by the caller.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "comm/nccl/nccl_library.h"

namespace torii::comm::testing {

struct FakeOperation {
  enum Kind { kSend, kRecv, kAllGather, kBroadcast, kAllReduce, kReduceScatter, kReduce };
  Kind kind = kSend;
  const void* in = nullptr;
  void* out = nullptr;
  size_t count = 0;
  NcclType type = NcclType::kUint8;
  int peer = 0;  // the root of those that have one

  bool is_pair() const { return kind <= kRecv; }
  size_t bytes() const {
    return count * (type == NcclType::kUint8                                 ? 1
                    : type == NcclType::kInt32 || type == NcclType::kFloat32 ? 4
                                                                             : 8);
  }
  bool SameAs(const FakeOperation& o) const {
    return kind == o.kind && count == o.count && type == o.type && peer == o.peer;
  }
  // "broadcast 12 of 0": bytes, and the peer or root.
  std::string Text() const {
    constexpr const char* kNames[] = {"send",       "recv",           "all_gather", "broadcast",
                                      "all_reduce", "reduce_scatter", "reduce"};
    const bool has_peer = is_pair() || kind == kBroadcast || kind == kReduce;
    return absl::StrCat(kNames[kind], " ", bytes(), has_peer ? absl::StrCat(" of ", peer) : "");
  }
};
using FakeGroup = std::vector<FakeOperation>;

// Lives as long as a mark that looks at it.
struct FakeProgress {
  uint64_t posted = 0;
  uint64_t executed = 0;
  bool aborted = false;  // kernels end at once
};

struct FakeWorld;

}  // namespace torii::comm::testing

namespace torii::comm {

// One communicator.
struct NcclHandle {
  std::shared_ptr<testing::FakeWorld> world;
  int rank = 0;
  NcclResult error = NcclResult::kSuccess;
  int polls = 0;  // so many more answers "in progress"
  bool leaving = false;
  std::deque<testing::FakeGroup> queue = {};
  std::shared_ptr<testing::FakeProgress> progress = std::make_shared<testing::FakeProgress>();
};

}  // namespace torii::comm

namespace torii::comm::testing {

template <typename T>
void AddFromTheLast(const std::vector<const std::byte*>& inputs, size_t count, std::byte* out) {
  std::vector<T> sum(count);
  std::memcpy(sum.data(), inputs.back(), count * sizeof(T));
  for (size_t r = inputs.size() - 1; r-- > 0;) {
    for (size_t i = 0; i < count; ++i) {
      T value;
      std::memcpy(&value, inputs[r] + i * sizeof(T), sizeof(T));
      sum[i] = static_cast<T>(sum[i] + value);
    }
  }
  std::memcpy(out, sum.data(), count * sizeof(T));
}

inline std::vector<std::byte> SumFromTheLast(const std::vector<const std::byte*>& inputs,
                                             const FakeOperation& like) {
  std::vector<std::byte> sum(like.bytes());
  switch (like.type) {
    case NcclType::kUint8:
      AddFromTheLast<uint8_t>(inputs, like.count, sum.data());
      break;
    case NcclType::kInt32:
      AddFromTheLast<uint32_t>(inputs, like.count, sum.data());
      break;
    case NcclType::kInt64:
      AddFromTheLast<uint64_t>(inputs, like.count, sum.data());
      break;
    case NcclType::kFloat32:
      AddFromTheLast<float>(inputs, like.count, sum.data());
      break;
    case NcclType::kFloat64:
      AddFromTheLast<double>(inputs, like.count, sum.data());
      break;
  }
  return sum;
}

struct FakeWorld {
  explicit FakeWorld(int size) : ranks(static_cast<size_t>(size)) {}

  std::vector<NcclHandle*> ranks;  // null: not yet there, or gone
  size_t arrived = 0;
  size_t leaving = 0;
  std::string error;

  // Carries out what can be carried out.
  void Advance() {
    while (AdvanceCollectives() || AdvancePairs()) {
    }
    for (const NcclHandle* comm : ranks) {
      if (comm == nullptr || comm->queue.empty()) return;
    }
    Fail("no rank can go on: the groups of the ranks do not match");
  }

 private:
  void Fail(const std::string& why) {
    error = why;
    for (NcclHandle* comm : ranks) {
      if (comm == nullptr) continue;
      comm->error = NcclResult::kInvalidUsage;
      comm->queue.clear();
    }
  }

  static void Finish(NcclHandle& comm) {
    comm.queue.pop_front();
    ++comm.progress->executed;
  }

  const FakeGroup* Head(size_t rank) const {
    const NcclHandle* comm = ranks[rank];
    return comm == nullptr || comm->queue.empty() ? nullptr : &comm->queue.front();
  }

  bool AdvanceCollectives() {
    std::vector<const FakeGroup*> heads;
    for (size_t r = 0; r < ranks.size(); ++r) {
      heads.push_back(Head(r));
      if (heads.back() == nullptr || heads.back()->front().is_pair()) return false;
    }
    for (size_t r = 1; r < heads.size(); ++r) {
      const bool same = std::ranges::equal(
          *heads[0], *heads[r],
          [](const FakeOperation& a, const FakeOperation& b) { return a.SameAs(b); });
      if (same) continue;
      Fail(absl::StrCat("rank 0 calls ", heads[0]->front().Text(), ", rank ", r, " calls ",
                        heads[r]->front().Text()));
      return false;
    }
    for (size_t k = 0; k < heads[0]->size(); ++k) {
      std::vector<FakeOperation> calls;
      for (const FakeGroup* head : heads) calls.push_back((*head)[k]);
      Execute(calls);
    }
    for (NcclHandle* comm : ranks) Finish(*comm);
    return true;
  }

  static void Execute(const std::vector<FakeOperation>& calls) {
    const FakeOperation& first = calls[0];
    const size_t bytes = first.bytes();
    const auto in = [&](size_t rank) { return static_cast<const std::byte*>(calls[rank].in); };
    const auto out = [&](size_t rank) { return static_cast<std::byte*>(calls[rank].out); };
    const auto sum_at = [&](size_t offset) {
      std::vector<const std::byte*> inputs;
      for (size_t r = 0; r < calls.size(); ++r) inputs.push_back(in(r) + offset);
      return SumFromTheLast(inputs, first);
    };
    const auto root = static_cast<size_t>(first.peer);
    const std::vector<std::byte> sum =
        first.kind == FakeOperation::kAllReduce || first.kind == FakeOperation::kReduce
            ? sum_at(0)
            : std::vector<std::byte>();
    for (size_t r = 0; r < calls.size(); ++r) {
      switch (first.kind) {
        case FakeOperation::kAllGather:
          for (size_t s = 0; s < calls.size(); ++s) {
            std::memmove(out(r) + s * bytes, in(s), bytes);
          }
          break;
        case FakeOperation::kBroadcast:
          std::memmove(out(r), in(root), bytes);
          break;
        case FakeOperation::kAllReduce:
          std::memcpy(out(r), sum.data(), bytes);
          break;
        case FakeOperation::kReduceScatter:
          std::memcpy(out(r), sum_at(r * bytes).data(), bytes);
          break;
        case FakeOperation::kReduce:
          if (r == root) std::memcpy(out(r), sum.data(), bytes);
          break;
        case FakeOperation::kSend:
        case FakeOperation::kRecv:
          TORII_CHECK(false, "a pair is no collective");
      }
    }
  }

  std::vector<FakeOperation> Pairs(size_t rank, FakeOperation::Kind kind, size_t peer) const {
    std::vector<FakeOperation> found;
    for (const FakeOperation& op : *Head(rank)) {
      if (op.kind == kind && static_cast<size_t>(op.peer) == peer) found.push_back(op);
    }
    return found;
  }

  // Ranks whose groups of sends and receives have all their partners at the heads of the others.
  bool AdvancePairs() {
    std::vector<bool> goes(ranks.size());
    for (size_t r = 0; r < ranks.size(); ++r) {
      goes[r] = Head(r) != nullptr && Head(r)->front().is_pair();
    }
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t r = 0; r < ranks.size(); ++r) {
        if (goes[r] && !HasPartners(r, goes)) {
          goes[r] = false;
          changed = true;
        }
      }
    }
    bool any = false;
    for (size_t from = 0; from < ranks.size(); ++from) {
      for (size_t to = 0; goes[from] && to < ranks.size(); ++to) {
        if (goes[to] && !Move(from, to)) return false;
      }
    }
    for (size_t r = 0; r < ranks.size(); ++r) {
      if (goes[r]) Finish(*ranks[r]);
      any = any || goes[r];
    }
    return any;
  }

  bool HasPartners(size_t rank, const std::vector<bool>& goes) const {
    for (size_t peer = 0; peer < ranks.size(); ++peer) {
      const size_t sends = Pairs(rank, FakeOperation::kSend, peer).size();
      const size_t receives = Pairs(rank, FakeOperation::kRecv, peer).size();
      if (sends + receives > 0 && !goes[peer]) return false;
      // The peer may already want more of this rank than its present group gives.
      if (sends > 0 && sends != Pairs(peer, FakeOperation::kRecv, rank).size()) return false;
      if (receives > 0 && receives != Pairs(peer, FakeOperation::kSend, rank).size()) return false;
    }
    return true;
  }

  bool Move(size_t from, size_t to) {
    const std::vector<FakeOperation> sent = Pairs(from, FakeOperation::kSend, to);
    const std::vector<FakeOperation> received = Pairs(to, FakeOperation::kRecv, from);
    for (size_t k = 0; k < sent.size(); ++k) {
      if (sent[k].bytes() != received[k].bytes()) {
        Fail(absl::StrCat("rank ", from, " sends ", sent[k].bytes(), " bytes to rank ", to,
                          ", which receives ", received[k].bytes()));
        return false;
      }
      std::memmove(received[k].out, sent[k].in, sent[k].bytes());
    }
    return true;
  }
};

}  // namespace torii::comm::testing
