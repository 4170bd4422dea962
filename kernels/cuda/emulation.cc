#include "kernels/cuda/emulation.h"

#include <ucontext.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/check.h"
#include "kernels/cuda/device_memory.h"

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace torii::kernels::cuda {
namespace emulation {
namespace {

constexpr int kWarp = 32;
constexpr size_t kStackBytes = size_t{256} << 10;  // also with the red zones of AddressSanitizer
constexpr unsigned char kUnwritten = 0xff;         // as floats: NaN

enum class State : uint8_t { kReady, kInWarp, kInBlock, kDone };

struct Copy {
  void* to;
  const void* from;
};
// The asynchronous copies of a thread, in groups: those of the open group come last.
struct Copies {
  std::vector<Copy> list;
  std::vector<size_t> group_ends;
};

// ThreadSanitizer must be told which fiber runs.
#if defined(__SANITIZE_THREAD__)
void* NewSanitizerFiber() { return __tsan_create_fiber(0); }
void DeleteSanitizerFiber(void* fiber) { __tsan_destroy_fiber(fiber); }
void* CurrentSanitizerFiber() { return __tsan_get_current_fiber(); }
void SwitchSanitizerTo(void* fiber) { __tsan_switch_to_fiber(fiber, 0); }
#else
void* NewSanitizerFiber() { return nullptr; }
void DeleteSanitizerFiber(void*) {}
void* CurrentSanitizerFiber() { return nullptr; }
void SwitchSanitizerTo(void*) {}
#endif

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  void* sanitizer_fiber = nullptr;
  State state = State::kDone;
  Copies copies;
};

// A meeting of a warp writes to one of two sets of slots in turn, so that lanes that run ahead to
// the next meeting leave what the others still read.
struct Warp {
  alignas(16) unsigned char slots[2][kWarp * kSlotBytes];
  int set = 0, arrived = 0;
  Meeting kind = Meeting::kWait;
};

// The threads of one block at a time. Keeps its stacks from launch to launch.
class Block {
 public:
  void Run(const Grid& grid, Order order, void (*body)(const void*), const void* context);
  void MeetBlock();
  const unsigned char* MeetWarp(Meeting kind, const void* mine, size_t bytes);
  Copies& copies() { return fibers_[current_].copies; }
  void* shared() { return shared_; }
  bool runs() const { return runs_; }

 private:
  static void Enter();
  void Start(Fiber& fiber);
  void RunBlock(Order order);
  bool RunWarp(size_t warp, Order order);
  void Switch(size_t thread);
  void Yield(State state);
  void SetReady(size_t first, size_t last);

  bool runs_ = false;
  size_t threads_ = 0, current_ = 0, arrived_ = 0;
  void (*body_)(const void*) = nullptr;
  const void* context_ = nullptr;
  std::vector<Fiber> fibers_;
  std::vector<Warp> warps_;
  ucontext_t scheduler_;
  void* scheduler_fiber_ = nullptr;
  std::vector<unsigned char> shared_memory_;
  void* shared_ = nullptr;
};

thread_local Block block;
thread_local Order order_of_thread = Order::kForward;

void Block::Enter() {
  block.body_(block.context_);
  block.Yield(State::kDone);
}

void Block::Yield(State state) {
  Fiber& fiber = fibers_[current_];
  fiber.state = state;
  SwitchSanitizerTo(scheduler_fiber_);
  swapcontext(&fiber.context, &scheduler_);
}

void Block::Switch(size_t thread) {
  current_ = thread;
  place.thread.x = static_cast<unsigned>(thread);
  SwitchSanitizerTo(fibers_[thread].sanitizer_fiber);
  swapcontext(&scheduler_, &fibers_[thread].context);
}

void Block::SetReady(size_t first, size_t last) {
  for (size_t t = first; t < last; ++t) fibers_[t].state = State::kReady;
}

void Block::Run(const Grid& grid, Order order, void (*body)(const void*), const void* context) {
  TORII_CHECK(!runs_, "a kernel launched by a kernel");
  runs_ = true;
  threads_ = static_cast<size_t>(grid.threads);
  body_ = body;
  context_ = context;
  if (fibers_.size() < threads_) fibers_.resize(threads_);
  warps_.resize(threads_ / kWarp);
  shared_memory_.resize(grid.shared_bytes + 128);
  size_t room = shared_memory_.size();
  shared_ = shared_memory_.data();
  shared_ = std::align(128, grid.shared_bytes, shared_, room);
  for (int64_t y = 0; y < grid.blocks_y; ++y) {
    for (int64_t x = 0; x < grid.blocks_x; ++x) {
      place.block = {static_cast<unsigned>(x), static_cast<unsigned>(y), 0};
      RunBlock(order);
    }
  }
  runs_ = false;
}

// Has no variables of its own: getcontext may return twice.
void Block::Start(Fiber& fiber) {
  if (fiber.stack == nullptr) fiber.stack.reset(new char[kStackBytes]);
  fiber.state = State::kReady;
  fiber.sanitizer_fiber = NewSanitizerFiber();
  fiber.copies.list.clear();
  fiber.copies.group_ends.clear();
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack.get();
  fiber.context.uc_stack.ss_size = kStackBytes;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, &Block::Enter, 0);
}

void Block::RunBlock(Order order) {
  std::fill(shared_memory_.begin(), shared_memory_.end(), kUnwritten);
  arrived_ = 0;
  scheduler_fiber_ = CurrentSanitizerFiber();
  for (Warp& warp : warps_) warp.arrived = 0;
  for (size_t t = 0; t < threads_; ++t) Start(fibers_[t]);
  const auto is_done = [](const Fiber& fiber) { return fiber.state == State::kDone; };
  const auto end = fibers_.begin() + static_cast<std::ptrdiff_t>(threads_);
  while (!std::all_of(fibers_.begin(), end, is_done)) {
    bool moved = false;
    for (size_t w = 0; w < warps_.size(); ++w) {
      moved |= RunWarp(order == Order::kForward ? w : warps_.size() - 1 - w, order);
    }
    TORII_CHECK(moved, "a meeting that some threads of the block never come to");
  }
  for (size_t t = 0; t < threads_; ++t) DeleteSanitizerFiber(fibers_[t].sanitizer_fiber);
}

// Runs the lanes of a warp until each has ended or waits for other warps. False if none could run.
bool Block::RunWarp(size_t warp, Order order) {
  for (bool moved = false;; moved = true) {
    bool moves = false;
    for (size_t i = 0; i < kWarp; ++i) {
      const size_t t = warp * kWarp + (order == Order::kForward ? i : kWarp - 1 - i);
      if (fibers_[t].state != State::kReady) continue;
      Switch(t);
      moves = true;
    }
    if (!moves) return moved;
  }
}

void Block::MeetBlock() {
  TORII_CHECK(runs_, "a barrier in a kernel that was launched as one without");
  if (++arrived_ < threads_) return Yield(State::kInBlock);
  arrived_ = 0;
  SetReady(0, threads_);
}

const unsigned char* Block::MeetWarp(Meeting kind, const void* mine, size_t bytes) {
  TORII_CHECK(runs_, "lanes meet in a kernel that was launched as one where they do not");
  const size_t w = current_ / kWarp, lane = current_ % kWarp;
  Warp& warp = warps_[w];
  if (warp.arrived == 0) {
    warp.kind = kind;
    warp.set ^= 1;
  }
  TORII_CHECK(warp.kind == kind, "lanes of a warp meet for different things");
  const unsigned char* const slots = warp.slots[warp.set];
  std::memcpy(warp.slots[warp.set] + lane * kSlotBytes, mine, bytes);
  if (++warp.arrived < kWarp) {
    Yield(State::kInWarp);
  } else {
    warp.arrived = 0;
    SetReady(w * kWarp, (w + 1) * kWarp);
  }
  return slots;
}

void RunApart(const Grid& grid, Order order, void (*body)(const void*), const void* context) {
  const int64_t blocks = grid.blocks_x * grid.blocks_y;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t b = order == Order::kForward ? i : blocks - 1 - i;
    place.block = {static_cast<unsigned>(b % grid.blocks_x),
                   static_cast<unsigned>(b / grid.blocks_x), 0};
    for (int t = 0; t < grid.threads; ++t) {
      place.thread.x = static_cast<unsigned>(order == Order::kForward ? t : grid.threads - 1 - t);
      body(context);
    }
  }
}

}  // namespace

void SetOrder(Order order) { order_of_thread = order; }

void Run(const Grid& grid, void (*body)(const void*), const void* context) {
  TORII_CHECK(grid.threads > 0 && grid.threads % kWarp == 0 && grid.threads <= 1024, grid.threads,
              " threads in a block");
  TORII_CHECK(grid.blocks_x > 0 && grid.blocks_x < int64_t{1} << 31 && grid.blocks_y > 0 &&
                  grid.blocks_y < 65536,
              grid.blocks_x, " x ", grid.blocks_y, " blocks");
  place.block_dim = {static_cast<unsigned>(grid.threads), 1, 1};
  place.grid_dim = {static_cast<unsigned>(grid.blocks_x), static_cast<unsigned>(grid.blocks_y), 1};
  if (grid.lanes == Lanes::kApart) return RunApart(grid, order_of_thread, body, context);
  block.Run(grid, order_of_thread, body, context);
}

void* SharedMemory() { return block.shared(); }
void MeetBlock() { block.MeetBlock(); }
const unsigned char* MeetWarp(Meeting kind, const void* mine, size_t bytes) {
  return block.MeetWarp(kind, mine, bytes);
}

void CopyLater(void* to, const void* from) {
  TORII_CHECK(block.runs(), "copies in a kernel that was launched as one whose threads stay apart");
  block.copies().list.push_back({to, from});
}

void CloseGroupOfCopies() {
  Copies& copies = block.copies();
  copies.group_ends.push_back(copies.list.size());
}

void WaitForCopies(int left) {
  Copies& copies = block.copies();
  const auto groups = static_cast<std::ptrdiff_t>(copies.group_ends.size()) - left;
  if (groups <= 0) return;
  const auto end = static_cast<std::ptrdiff_t>(copies.group_ends[static_cast<size_t>(groups) - 1]);
  for (auto copy = copies.list.begin(); copy != copies.list.begin() + end; ++copy) {
    std::memcpy(copy->to, copy->from, 16);
  }
  copies.list.erase(copies.list.begin(), copies.list.begin() + end);
  copies.group_ends.erase(copies.group_ends.begin(), copies.group_ends.begin() + groups);
  for (size_t& group_end : copies.group_ends) group_end -= static_cast<size_t>(end);
}

}  // namespace emulation

// ---- The memory of the emulated device ----

void* AllocateScratch(size_t bytes) {
  constexpr size_t kAlignment = 256;
  void* memory = std::aligned_alloc(kAlignment, (bytes / kAlignment + 1) * kAlignment);
  TORII_CHECK(memory != nullptr, "no memory for ", bytes, " bytes");
  std::memset(memory, emulation::kUnwritten, bytes);
  return memory;
}
void FreeScratch(void* memory) { std::free(memory); }
void ClearMemory(void* memory, size_t bytes) { std::memset(memory, 0, bytes); }

}  // namespace torii::kernels::cuda
