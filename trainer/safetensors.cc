#include "trainer/safetensors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/exit_code.h"
#include "base/status_macros.h"

namespace torii::trainer {
namespace {

using nlohmann::json;

constexpr int64_t kMaxHeader = 100 << 20;  // the format's own limit
constexpr int64_t kRowsAtATime = 65536;    // of a tensor that is copied to be written

std::string Header(const std::vector<NamedTensor>& tensors) {
  nlohmann::ordered_json header;
  int64_t begin = 0;
  for (const NamedTensor& t : tensors) {
    const int64_t end = begin + t.tensor.numel() * 4;
    header[t.name] = {
        {"dtype", "F32"}, {"shape", t.tensor.sizes().vec()}, {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text = tensors.empty() ? "{}" : header.dump();
  while (text.size() % 8 != 0) text += ' ';  // the data start aligned
  return text;
}

// One header entry, with every number checked against the size of the data that follow the header.
absl::StatusOr<SafetensorsEntry> ParseEntry(const std::string& where, const json& value,
                                            int64_t data_begin, int64_t data_bytes) {
  if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") ||
      !value.contains("data_offsets") || !value["shape"].is_array() ||
      !value["data_offsets"].is_array() || value["data_offsets"].size() != 2 ||
      !value["data_offsets"][0].is_number_unsigned() ||
      !value["data_offsets"][1].is_number_unsigned()) {
    return DataError(absl::StrCat(where, ": malformed header entry"));
  }
  if (value["dtype"] != "F32") {
    return DataError(absl::StrCat(where, ": dtype is not F32"));
  }
  SafetensorsEntry entry;
  constexpr int64_t kLimit = std::numeric_limits<int64_t>::max() / 8;
  int64_t elements = 1;
  for (const json& size : value["shape"]) {
    if (!size.is_number_unsigned()) return DataError(absl::StrCat(where, ": bad shape"));
    const auto s = size.get<uint64_t>();
    if (s > static_cast<uint64_t>(kLimit) ||
        (s != 0 && elements > kLimit / static_cast<int64_t>(s))) {
      return DataError(absl::StrCat(where, ": shape is too large"));
    }
    elements *= static_cast<int64_t>(s);
    entry.shape.push_back(static_cast<int64_t>(s));
  }
  const auto begin = value["data_offsets"][0].get<uint64_t>();
  const auto end = value["data_offsets"][1].get<uint64_t>();
  if (begin > end || end > static_cast<uint64_t>(data_bytes) ||
      end - begin != static_cast<uint64_t>(elements) * 4) {
    return DataError(absl::StrCat(where, ": data offsets [", begin, ", ", end,
                                  ") do not fit the shape or the file"));
  }
  entry.offset = data_begin + static_cast<int64_t>(begin);
  entry.bytes = static_cast<int64_t>(end - begin);
  return entry;
}

}  // namespace

absl::StatusOr<std::string> WriteSafetensors(FileSystem& files, const std::string& path,
                                             const std::vector<NamedTensor>& tensors) {
  TORII_ASSIGN_OR_RETURN(const auto file, files.Create(path));
  Digest digest;
  const auto append = [&](const void* data, int64_t size) {
    digest.Update(data, static_cast<size_t>(size));
    return file->Append(data, size);
  };
  const std::string header = Header(tensors);
  const auto header_size = static_cast<uint64_t>(header.size());
  TORII_RETURN_IF_ERROR(append(&header_size, 8));
  TORII_RETURN_IF_ERROR(append(header.data(), static_cast<int64_t>(header.size())));
  for (const NamedTensor& t : tensors) {
    // A view of rows that lie apart in memory is written piece by piece: no copy of the whole.
    const bool whole = t.tensor.is_contiguous();
    const int64_t rows = whole ? 1 : t.tensor.size(0);
    for (int64_t row = 0; row < rows; row += kRowsAtATime) {
      const at::Tensor piece =
          whole ? t.tensor
                : t.tensor.narrow(0, row, std::min(kRowsAtATime, rows - row)).contiguous();
      TORII_RETURN_IF_ERROR(append(piece.const_data_ptr<float>(), piece.numel() * 4));
    }
  }
  TORII_RETURN_IF_ERROR(file->Sync());
  TORII_RETURN_IF_ERROR(file->Close());
  return digest.Hex();
}

absl::StatusOr<std::map<std::string, SafetensorsEntry>> ReadSafetensorsHeader(
    FileSystem& files, const std::string& path) {
  TORII_ASSIGN_OR_RETURN(const auto file, files.OpenForReading(path));
  uint64_t header_size = 0;
  if (file->size() < 8) return DataError(absl::StrCat(path, ": truncated: no header"));
  TORII_RETURN_IF_ERROR(file->ReadAt(0, 8, &header_size));
  if (header_size > static_cast<uint64_t>(kMaxHeader) ||
      header_size + 8 > static_cast<uint64_t>(file->size())) {
    return DataError(absl::StrCat(path, ": truncated, or not a safetensors file: header of ",
                                  header_size, " bytes in a file of ", file->size()));
  }
  std::string text(header_size, '\0');
  TORII_RETURN_IF_ERROR(file->ReadAt(8, static_cast<int64_t>(header_size), text.data()));
  const json header = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (header.is_discarded() || !header.is_object()) {
    return DataError(absl::StrCat(path, ": the header is not JSON"));
  }
  const int64_t data_begin = 8 + static_cast<int64_t>(header_size);
  std::map<std::string, SafetensorsEntry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") continue;
    TORII_ASSIGN_OR_RETURN(entries[name], ParseEntry(absl::StrCat(path, ": tensor '", name, "'"),
                                                     value, data_begin, file->size() - data_begin));
  }
  return entries;
}

absl::StatusOr<at::Tensor> ReadSafetensor(FileSystem& files, const std::string& path,
                                          const SafetensorsEntry& entry) {
  TORII_ASSIGN_OR_RETURN(const auto file, files.OpenForReading(path));
  at::Tensor tensor = at::empty(entry.shape, at::kFloat);
  TORII_RETURN_IF_ERROR(file->ReadAt(entry.offset, entry.bytes, tensor.mutable_data_ptr<float>()));
  return tensor;
}

}  // namespace torii::trainer
