// Reads NumPy .npy files (version 1 and 2) of float32, float64 and int64 in C order. It does not
// notice other types or orders: they give wrong numbers.
#pragma once

#include <ATen/ATen.h>

#include <cstring>
#include <regex>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/file_system.h"
#include "base/status_macros.h"

namespace torii::bench {

inline absl::StatusOr<at::Tensor> ReadNpy(const std::string& path) {
  TORII_ASSIGN_OR_RETURN(const auto file, LocalFiles().OpenForReading(path));
  std::string start(12, '\0');
  TORII_RETURN_IF_ERROR(file->ReadAt(0, 12, start.data()));
  if (start.substr(0, 6) != "\x93NUMPY") return DataError(path + ": not a .npy file");
  uint32_t header_size = 0;
  const bool long_header = start[6] >= 2;
  std::memcpy(&header_size, start.data() + 8, long_header ? 4 : 2);
  const int64_t header_begin = long_header ? 12 : 10;
  std::string header(header_size, '\0');
  TORII_RETURN_IF_ERROR(file->ReadAt(header_begin, header_size, header.data()));
  at::ScalarType type = at::kFloat;
  if (header.find("<f8") != std::string::npos) type = at::kDouble;
  if (header.find("<i8") != std::string::npos) type = at::kLong;
  std::smatch shape_text;
  if (!std::regex_search(header, shape_text, std::regex("'shape': \\(([^)]*)\\)"))) {
    return DataError(path + ": no shape");
  }
  std::vector<int64_t> shape;
  const std::string list = shape_text[1].str();
  const std::regex number("[0-9]+");
  for (std::sregex_iterator it(list.begin(), list.end(), number), end; it != end; ++it) {
    shape.push_back(std::stoll(it->str()));
  }
  at::Tensor tensor = at::empty(shape, type);
  TORII_RETURN_IF_ERROR(file->ReadAt(header_begin + header_size,
                                     static_cast<int64_t>(tensor.nbytes()), tensor.data_ptr()));
  return tensor;
}

}  // namespace torii::bench
