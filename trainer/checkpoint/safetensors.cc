#include "trainer/checkpoint/safetensors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "trainer/checkpoint/shallow_json.h"

namespace torii::trainer {
namespace {

using nlohmann::ordered_json;

constexpr int64_t kMaxHeader = 100 << 20;  // the format's own limit
constexpr int64_t kRowsAtATime = 65536;    // of a tensor that is copied to be written

constexpr std::pair<at::ScalarType, std::string_view> kDtypes[] = {
    {at::ScalarType::Float, "F32"},     {at::ScalarType::Double, "F64"},
    {at::ScalarType::BFloat16, "BF16"}, {at::ScalarType::Half, "F16"},
    {at::ScalarType::Long, "I64"},      {at::ScalarType::Int, "I32"},
    {at::ScalarType::Short, "I16"},     {at::ScalarType::Char, "I8"},
    {at::ScalarType::Byte, "U8"},       {at::ScalarType::Bool, "BOOL"},
};

int64_t BytesOf(const at::Tensor& tensor) {
  return tensor.numel() * DtypeBytes(tensor.scalar_type());
}

std::string Header(const std::vector<NamedTensor>& tensors) {
  ordered_json header;
  int64_t begin = 0;
  for (const NamedTensor& t : tensors) {
    const int64_t end = begin + BytesOf(t.tensor);
    header[t.name] = {{"dtype", DtypeName(t.tensor.scalar_type())},
                      {"shape", t.tensor.sizes().vec()},
                      {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text = tensors.empty() ? "{}" : header.dump();
  while (text.size() % 8 != 0) text += ' ';  // the data start aligned
  return text;
}

// One header entry, with every number checked against the size of the data that follow the header.
absl::StatusOr<SafetensorsEntry> ParseEntry(const std::string& where, const ordered_json& value,
                                            int64_t data_begin, int64_t data_bytes) {
  SafetensorsEntry entry;
  TORII_ASSIGN_OR_RETURN(const std::string dtype, TextMember(value, "dtype", where));
  TORII_ASSIGN_OR_RETURN(entry.shape, IntegersMember(value, "shape", where));
  TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> offsets,
                         IntegersMember(value, "data_offsets", where));
  const std::optional<at::ScalarType> known = DtypeOf(dtype);
  if (!known.has_value()) return DataError(absl::StrCat(where, ": no dtype ", dtype));
  entry.dtype = *known;
  const std::optional<int64_t> bytes = TensorBytes(entry.dtype, entry.shape);
  if (!bytes.has_value()) return DataError(absl::StrCat(where, ": the shape is too large"));
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_bytes ||
      offsets[1] - offsets[0] != *bytes) {
    return DataError(absl::StrCat(where, ": data offsets do not fit the shape or the file"));
  }
  entry.offset = data_begin + offsets[0];
  entry.bytes = *bytes;
  return entry;
}

}  // namespace

std::string_view DtypeName(at::ScalarType dtype) {
  for (const auto& [type, name] : kDtypes) {
    if (type == dtype) return name;
  }
  TORII_CHECK(false, "safetensors have no dtype ", at::toString(dtype));
  return "";
}

std::optional<at::ScalarType> DtypeOf(std::string_view name) {
  for (const auto& [type, known] : kDtypes) {
    if (known == name) return type;
  }
  return std::nullopt;
}

int64_t DtypeBytes(at::ScalarType dtype) { return static_cast<int64_t>(at::elementSize(dtype)); }

std::optional<int64_t> TensorBytes(at::ScalarType dtype, const std::vector<int64_t>& shape) {
  constexpr int64_t kMost = int64_t{1} << 60;
  int64_t bytes = DtypeBytes(dtype);
  for (const int64_t size : shape) {
    if (size < 0 || size > kMost || (size != 0 && bytes > kMost / size)) return std::nullopt;
    bytes *= size;
  }
  return bytes;
}

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
    // A view of rows that lie apart in memory, or elsewhere than on the host, is written piece by
    // piece: no copy of the whole.
    const bool whole = t.tensor.dim() == 0 || (t.tensor.is_cpu() && t.tensor.is_contiguous());
    const int64_t rows = whole ? 1 : t.tensor.size(0);
    for (int64_t row = 0; row < rows; row += kRowsAtATime) {
      const at::Tensor piece =
          whole ? t.tensor.cpu()
                : t.tensor.narrow(0, row, std::min(kRowsAtATime, rows - row)).cpu().contiguous();
      TORII_RETURN_IF_ERROR(append(piece.const_data_ptr(), BytesOf(piece)));
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
  TORII_ASSIGN_OR_RETURN(const ordered_json header,
                         ParseShallowJson(text, absl::StrCat(path, ": the header")));
  if (!header.is_object()) return DataError(absl::StrCat(path, ": the header is not an object"));
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
  at::Tensor tensor = at::empty(entry.shape, entry.dtype);
  TORII_RETURN_IF_ERROR(file->ReadAt(entry.offset, entry.bytes, tensor.mutable_data_ptr()));
  return tensor;
}

}  // namespace torii::trainer
