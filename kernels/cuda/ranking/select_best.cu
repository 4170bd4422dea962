// The k greatest of many keys, by their digits of 8 bits from the highest one down: a histogram of
// the keys that begin like the k-th greatest says how its next digit reads.
#include "kernels/cuda/device.h"
#include "kernels/cuda/ranking/best_items.h"

namespace torii::kernels::cuda {
namespace {

constexpr int kThreads = 128;  // a warp has a row
constexpr int kRows = kThreads / kWarpLanes;
constexpr int kDigits = 256, kRun = kDigits / kWarpLanes;
constexpr float kLowest = -3.402823466e38F;  // the least number: what is not above -infinity is out

// The digit of the k-th greatest key.
struct Digit {
  int digit;  // -1: there are fewer keys
  int above;  // keys with greater digits
  int same;   // keys with this one
};

// The shared memory of a warp.
struct Shared {
  int histogram[kDigits];
  int runs[kWarpLanes];  // sums over kRun digits
  Digit digit;
  int kept;
};

// The keys of a row: its best ones, then those found.
struct RowKeys {
  const Key* best;
  int num_best;
  const Key* found;
  int num_found;

  __device__ int Count() const { return num_best + num_found; }
  __device__ Key At(int i) const { return i < num_best ? best[i] : found[i - num_best]; }
};

// Calls visit(key) for all keys of a row, which are divided among the lanes. Several are on the way
// at a time.
template <class Visit>
__device__ inline void ForEachKey(const RowKeys& keys, const Visit& visit) {
  constexpr int kAtOnce = 4;
  for (int first = LaneOf(); first < keys.Count(); first += kAtOnce * kWarpLanes) {
    Key key[kAtOnce];
    TORII_UNROLL
    for (int i = 0; i < kAtOnce; ++i) {
      const int at = first + i * kWarpLanes;
      key[i] = at < keys.Count() ? keys.At(at) : 0;
    }
    TORII_UNROLL
    for (int i = 0; i < kAtOnce; ++i) {
      if (key[i] != 0) visit(key[i]);
    }
  }
}

// The k-th greatest key has these digits; kept are the keys whose digits are not below. Without a
// mask, all keys are.
struct Cut {
  Key prefix = 0, mask = 0;
};

__device__ inline bool Hides(const HiddenItems& hidden, int64_t row, int64_t item) {
  int64_t begin = hidden.begin[row], end = hidden.begin[row + 1];
  const int64_t last = end;
  while (begin < end) {
    const int64_t middle = begin + (end - begin) / 2;
    if (hidden.items[middle] < item) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin < last && hidden.items[begin] == item;
}

// Writes the digit whose keys, with those of greater digits, are at least `wanted`: the lane in whose
// run it is.
__device__ inline void FindDigit(int wanted, Shared* shared) {
  int above = 0;
  for (int run = kWarpLanes - 1; run > LaneOf(); --run) above += shared->runs[run];
  if (above >= wanted || above + shared->runs[LaneOf()] < wanted) return;
  int digit = LaneOf() * kRun + kRun - 1;
  while (above + shared->histogram[digit] < wanted) above += shared->histogram[digit--];
  shared->digit = {digit, above, shared->histogram[digit]};
}

// All lanes call it.
__device__ inline Cut FindCut(const RowKeys& keys, int k, Shared* shared) {
  Cut cut;
  int wanted = k;
  for (int shift = 64 - 8; shift >= 0; shift -= 8) {
    for (int i = LaneOf(); i < kDigits; i += kWarpLanes) shared->histogram[i] = 0;
    shared->runs[LaneOf()] = 0;
    if (LaneOf() == 0) shared->digit.digit = -1;
    __syncwarp();
    ForEachKey(keys, [&](Key key) {
      if ((key & cut.mask) != cut.prefix) return;
      const int digit = static_cast<int>(key >> shift & (kDigits - 1));
      atomicAdd(shared->histogram + digit, 1);
      atomicAdd(shared->runs + digit / kRun, 1);
    });
    __syncwarp();
    FindDigit(wanted, shared);
    __syncwarp();
    const Digit digit = shared->digit;
    __syncwarp();  // all have read it
    if (digit.digit < 0) return {};
    cut.prefix |= static_cast<Key>(digit.digit) << shift;
    cut.mask |= static_cast<Key>(kDigits - 1) << shift;
    wanted -= digit.above;
    // The whole score is known, and no tie is open.
    if (shift <= 32 && wanted == digit.same) break;
  }
  return cut;
}

__global__ void __launch_bounds__(kThreads)
    SelectKernel(const BestRows args, const HiddenItems hidden) {
  auto* const shared = SharedMemory<Shared>() + WarpOfBlock();
  const int64_t row = GlobalWarp();
  if (row >= args.rows) return;
  Key* const found = args.found + row * args.capacity;
  const RowKeys keys{args.best + row * args.stride, args.num_best[row], found, args.num_found[row]};
  for (int i = LaneOf(); i < keys.num_found; i += kWarpLanes) {
    if (Hides(hidden, row, ItemOf(found[i]))) found[i] = 0;
  }
  if (LaneOf() == 0) shared->kept = 0;
  __syncwarp();
  Cut cut;
  if (keys.num_found > 0 && keys.Count() > args.k) cut = FindCut(keys, args.k, shared);
  ForEachKey(keys, [&](Key key) {
    if ((key & cut.mask) < cut.prefix) return;
    args.next[row * args.stride + atomicAdd(&shared->kept, 1)] = key;
  });
  __syncwarp();
  if (LaneOf() != 0) return;
  args.num_best[row] = shared->kept;
  args.num_found[row] = 0;
  // Of equal scores the smaller items come first, and those have passed.
  if (cut.mask != 0) args.least[row] = NextAbove(ScoreOf(cut.prefix));
}

__global__ void BeginKernel(const BestRows args) {
  for (int64_t row = GlobalThread(); row < args.rows; row += GridThreads()) {
    args.num_best[row] = 0;
    args.num_found[row] = 0;
    args.least[row] = kLowest;
  }
}

}  // namespace

void BeginBest(const BestRows& rows) {
  Launch(BeginKernel, {.blocks = BlocksFor(rows.rows, kThreads), .threads = kThreads}, rows);
}

void SelectBest(const BestRows& rows, const HiddenItems& hidden) {
  Launch(SelectKernel,
         {.blocks = (rows.rows + kRows - 1) / kRows,
          .threads = kThreads,
          .shared_bytes = kRows * sizeof(Shared),
          .lanes = Lanes::kMeet},
         rows, hidden);
}

}  // namespace torii::kernels::cuda
