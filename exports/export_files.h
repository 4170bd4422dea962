// The files of an export: .npy arrays and a Parquet table, written through the file-system seam in
// one pass, with their digests.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/digest.h"
#include "base/file_system.h"

namespace torii::exports {

struct ExportedFile {
  std::string name;
  int64_t size = 0;
  std::string digest;
};

// A file that knows its size and digest.
class DigestedFile final : public WritableFile {
 public:
  static absl::StatusOr<std::shared_ptr<DigestedFile>> Create(FileSystem& files,
                                                              const std::string& folder,
                                                              const std::string& name);
  using WritableFile::Append;
  absl::Status Append(const void* data, int64_t size) override;
  absl::Status Sync() override { return file_->Sync(); }
  absl::Status Close() override { return file_->Close(); }
  // Syncs and closes the file; returns its name, size and digest.
  absl::StatusOr<ExportedFile> Finish();

 private:
  std::unique_ptr<WritableFile> file_;
  Digest digest_;
  ExportedFile result_;
};

// The header of a .npy file (version 1.0), a multiple of 64 bytes long. type: "<f4", "<i8", "|S12".
// Pure.
std::string NpyHeader(const std::string& type, std::span<const int64_t> shape);

// Writes ids as item_ids.npy: int64, or bytes of the longest id's length, padded with zeros.
absl::StatusOr<ExportedFile> WriteIntegerIds(FileSystem& files, const std::string& folder,
                                             const std::string& name, std::span<const int64_t> ids);
absl::StatusOr<ExportedFile> WriteTextIds(FileSystem& files, const std::string& folder,
                                          const std::string& name,
                                          const std::vector<std::string>& ids);

// Ids of one block of rows: `integers` or `texts` is filled; titles only if the side has them.
struct IdBlock {
  std::vector<int64_t> integers;
  std::vector<std::string> texts;
  std::vector<std::string> titles;
};

struct VectorTableShape {
  int64_t dim = 0;
  bool integer_ids = false;
  bool titles = false;
};

// A Parquet file with the columns id, title (if any) and vector (list of dim floats), one row group
// per block.
class VectorTable {
 public:
  virtual ~VectorTable() = default;
  static absl::StatusOr<std::unique_ptr<VectorTable>> Create(FileSystem& files,
                                                             const std::string& folder,
                                                             const std::string& name,
                                                             const VectorTableShape& shape);
  // vectors: [n * dim].
  virtual absl::Status Append(const IdBlock& ids, std::span<const float> vectors) = 0;
  virtual absl::StatusOr<ExportedFile> Close() = 0;
};

}  // namespace torii::exports
