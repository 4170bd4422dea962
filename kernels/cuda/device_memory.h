// Memory of the device for the work of one operation. The functions are the plug-in's, or those of
// the emulation (emulation.cc).
#pragma once

#include <cstddef>
#include <cstdint>

namespace torii::kernels::cuda {

// On a multiple of 256 bytes, not initialised. Work that was launched before FreeScratch may still
// use it: memory is given again in the order of the stream.
void* AllocateScratch(size_t bytes);
void FreeScratch(void* memory);
// Zeros, in the order of the stream.
void ClearMemory(void* memory, size_t bytes);

// Room for `count` elements.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t count)
      : memory_(static_cast<T*>(AllocateScratch(static_cast<size_t>(count) * sizeof(T)))) {}
  ~Scratch() { FreeScratch(memory_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* get() const { return memory_; }

 private:
  T* memory_;
};

}  // namespace torii::kernels::cuda
