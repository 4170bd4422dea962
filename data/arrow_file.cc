#include "data/arrow_file.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow/buffer.h"
#include "arrow/result.h"
#include "base/exit_code.h"

namespace torii::data {
namespace {

constexpr char kDetailType[] = "torii::Status";

class CarriedStatus final : public arrow::StatusDetail {
 public:
  explicit CarriedStatus(absl::Status status) : status_(std::move(status)) {}
  const char* type_id() const override { return kDetailType; }
  std::string ToString() const override { return std::string(status_.message()); }
  const absl::Status& status() const { return status_; }

 private:
  absl::Status status_;
};

class ReadableArrowFile final : public arrow::io::RandomAccessFile {
 public:
  explicit ReadableArrowFile(std::unique_ptr<ReadableFile> file) : file_(std::move(file)) {}

  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Seek(int64_t position) override {
    position_ = position;
    return arrow::Status::OK();
  }
  arrow::Result<int64_t> GetSize() override { return file_->size(); }

  arrow::Result<int64_t> ReadAt(int64_t position, int64_t nbytes, void* out) override {
    const int64_t size = std::clamp<int64_t>(file_->size() - position, 0, nbytes);
    if (absl::Status status = file_->ReadAt(position, size, out); !status.ok()) {
      return ToArrow(status);
    }
    return size;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t nbytes) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(nbytes));
    ARROW_ASSIGN_OR_RAISE(const int64_t size, ReadAt(position, nbytes, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(size));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }
  arrow::Result<int64_t> Read(int64_t nbytes, void* out) override {
    ARROW_ASSIGN_OR_RAISE(const int64_t size, ReadAt(position_, nbytes, out));
    position_ += size;
    return size;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t nbytes) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, ReadAt(position_, nbytes));
    position_ += buffer->size();
    return buffer;
  }

 private:
  std::unique_ptr<ReadableFile> file_;
  int64_t position_ = 0;
  bool closed_ = false;
};

}  // namespace

arrow::Status ToArrow(const absl::Status& status) {
  if (status.ok()) {
    return arrow::Status::OK();
  }
  return arrow::Status(arrow::StatusCode::IOError, std::string(status.message()),
                       std::make_shared<CarriedStatus>(status));
}

absl::Status FromArrow(const arrow::Status& status, const std::string& context) {
  if (status.ok()) {
    return absl::OkStatus();
  }
  if (status.detail() != nullptr && std::string(status.detail()->type_id()) == kDetailType) {
    return static_cast<const CarriedStatus&>(*status.detail()).status();
  }
  return DataError(absl::StrCat(context, ": ", status.message()));
}

std::shared_ptr<arrow::io::RandomAccessFile> ToArrowFile(std::unique_ptr<ReadableFile> file) {
  return std::make_shared<ReadableArrowFile>(std::move(file));
}

}  // namespace torii::data
