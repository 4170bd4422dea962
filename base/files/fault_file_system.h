// A file system that fails on purpose, around a real one. It counts the mutating calls (create,
// append, sync, close, rename, make directories, remove) or the reads, and injects a fault into one
// of them. It can also drop data that was not synced, as a power cut would.
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
  kShortRead,   // ReadAt reads half and fails, as from a truncated file; Map gives the first half
  kPowerCut,    // this and every later call fails; then DropUnsynced() drops what was not synced
};

class FaultFileSystem : public FileSystem {
 public:
  using FileSystem::Create;  // creates a file; the factory below would hide it
  // Injects `fault` into mutating call number `at`, from 0 (kShortRead: into read number `at`, of
  // ReadAt and Map). `base` is borrowed. kIoError, kDiskFull and kShortRead hit one call; the calls
  // after it work.
  static std::unique_ptr<FaultFileSystem> Create(FileSystem& base, FileFault fault, int64_t at);
  // How many calls of the kind that `fault` counts there were so far. A test runs once with kNone
  // (for reads: kShortRead at -1) to learn how many there are, then once for each of them.
  virtual int64_t calls() const = 0;
  // Truncates every file to its last synced length and removes files whose directory entry was
  // never made durable. (A Rename makes durable all entries of the directory that it renames into
  // and, if it renames a directory, the entries of that.) Works on `base` also after a power cut.
  // Writers of files must have been destroyed before.
  virtual absl::Status DropUnsynced() = 0;
};

}  // namespace torii
