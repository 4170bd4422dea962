// The bytes of a CSV or TSV file as UTF-8 with a delimiter of one character.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "arrow/io/type_fwd.h"
#include "base/file_system.h"
#include "data/read/input_files.h"

namespace torii::data {

// The delimiter of the stream: that of the format, or a stand-in for one of several characters.
char StreamDelimiter(const InputFile& input);

// Decompressed and decoded. Reading a byte that is no text in the encoding is an error that names
// the line.
absl::StatusOr<std::shared_ptr<arrow::io::InputStream>> OpenTextStream(FileSystem& files,
                                                                       const InputFile& input);

// Has the encoding a decoder?
bool KnownEncoding(const std::string& name);

// The number of the record that holds the byte at `offset` of the text stream. The first record is
// 1; empty lines do not count.
absl::StatusOr<int64_t> RecordAt(FileSystem& files, const InputFile& input, int64_t offset);

}  // namespace torii::data
