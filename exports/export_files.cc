#include "exports/export_files.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/failpoint.h"
#include "base/status_macros.h"

namespace torii::exports {

absl::StatusOr<std::shared_ptr<DigestedFile>> DigestedFile::Create(FileSystem& files,
                                                                   const std::string& folder,
                                                                   const std::string& name) {
  auto file = std::make_shared<DigestedFile>();
  file->result_.name = name;
  TORII_ASSIGN_OR_RETURN(file->file_, files.Create(JoinPath(folder, name)));
  return file;
}

absl::Status DigestedFile::Append(const void* data, int64_t size) {
  TORII_FAILPOINT("export.append");
  TORII_RETURN_IF_ERROR(file_->Append(data, size));
  digest_.Update(data, static_cast<size_t>(size));
  result_.size += size;
  return absl::OkStatus();
}

absl::StatusOr<ExportedFile> DigestedFile::Finish() {
  TORII_RETURN_IF_ERROR(Sync());
  TORII_RETURN_IF_ERROR(Close());
  result_.digest = digest_.Hex();
  return result_;
}

std::string NpyHeader(const std::string& type, std::span<const int64_t> shape) {
  constexpr size_t kPrefix = 10;  // magic, version, length of the rest
  std::string text = absl::StrCat("{'descr': '", type, "', 'fortran_order': False, 'shape': (",
                                  absl::StrJoin(shape, ", "), shape.size() == 1 ? ",), }" : "), }");
  const size_t padding = 63 - (kPrefix + text.size()) % 64;
  text += std::string(padding, ' ') + "\n";
  std::string header = "\x93NUMPY";
  header += '\x01';
  header += '\0';
  header += static_cast<char>(text.size() & 0xff);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

absl::StatusOr<ExportedFile> WriteIntegerIds(FileSystem& files, const std::string& folder,
                                             const std::string& name,
                                             std::span<const int64_t> ids) {
  TORII_ASSIGN_OR_RETURN(const std::shared_ptr<DigestedFile> file,
                         DigestedFile::Create(files, folder, name));
  const int64_t shape[] = {static_cast<int64_t>(ids.size())};
  const std::string header = NpyHeader("<i8", shape);
  TORII_RETURN_IF_ERROR(file->Append(header));
  TORII_RETURN_IF_ERROR(file->Append(ids.data(), static_cast<int64_t>(ids.size_bytes())));
  return file->Finish();
}

absl::StatusOr<ExportedFile> WriteTextIds(FileSystem& files, const std::string& folder,
                                          const std::string& name,
                                          const std::vector<std::string>& ids) {
  size_t width = 1;
  for (const std::string& id : ids) width = std::max(width, id.size());
  TORII_ASSIGN_OR_RETURN(const std::shared_ptr<DigestedFile> file,
                         DigestedFile::Create(files, folder, name));
  const int64_t shape[] = {static_cast<int64_t>(ids.size())};
  const std::string header = NpyHeader(absl::StrCat("|S", width), shape);
  TORII_RETURN_IF_ERROR(file->Append(header));
  for (std::string id : ids) {
    id.resize(width, '\0');
    TORII_RETURN_IF_ERROR(file->Append(id));
  }
  return file->Finish();
}

}  // namespace torii::exports
