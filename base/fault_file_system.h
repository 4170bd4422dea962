// A file system that fails on purpose, around a real one. Counts the mutating calls (create,
// append, sync, close, rename, make directories, remove) and the reads; at the n-th it injects one
// fault. Un-synced data can be dropped as a power cut would.
#pragma once

#include <cstdint>
#include <memory>

#include "base/file_system.h"

namespace torii {

enum class FileFault {
  kNone,
  kIoError,     // EIO
  kDiskFull,    // ENOSPC, half of an append is written first
  kShortWrite,  // half of an append is written, then every later call fails (the process "dies")
  kShortRead,   // a read returns fewer bytes than there are
  kPowerCut,    // this and every later call fails; DropUnsynced() then loses what was not synced
};

class FaultFileSystem : public FileSystem {
 public:
  using FileSystem::Create;  // a file, beside the factory below
  // Injects `fault` at mutating call number `at` (0-based; kShortRead counts reads: ReadAt and
  // Map). Borrowed `base`. kIoError and kDiskFull hit one call; the calls after it work.
  static std::unique_ptr<FaultFileSystem> Create(FileSystem& base, FileFault fault, int64_t at);
  // Calls of the kind that `fault` counts so far: run once with kNone (for reads: kShortRead at -1)
  // to learn how many there are, then sweep.
  virtual int64_t calls() const = 0;
  // Truncates every file to its last synced length and removes files whose directory entry was
  // never made durable: Rename does that for all entries of the directory it renames into, and for
  // those of a renamed directory. Works on `base` also after a power cut. Files being written must
  // have been destroyed.
  virtual absl::Status DropUnsynced() = 0;
};

}  // namespace torii
