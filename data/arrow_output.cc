#include "data/arrow_output.h"

#include <utility>

#include "arrow/result.h"
#include "data/arrow_file.h"

namespace torii::data {
namespace {

class OutputOverWritableFile final : public arrow::io::OutputStream {
 public:
  explicit OutputOverWritableFile(std::shared_ptr<WritableFile> file) : file_(std::move(file)) {}

  arrow::Status Write(const void* data, int64_t size) override {
    if (closed_) return arrow::Status::Invalid("write to a closed file");
    ARROW_RETURN_NOT_OK(ToArrow(file_->Append(data, size)));
    position_ += size;
    return arrow::Status::OK();
  }
  arrow::Status Close() override {
    if (closed_) return arrow::Status::OK();
    closed_ = true;
    ARROW_RETURN_NOT_OK(ToArrow(file_->Sync()));
    return ToArrow(file_->Close());
  }
  arrow::Result<int64_t> Tell() const override { return position_; }
  bool closed() const override { return closed_; }

 private:
  std::shared_ptr<WritableFile> file_;
  int64_t position_ = 0;
  bool closed_ = false;
};

}  // namespace

std::shared_ptr<arrow::io::OutputStream> ToArrowOutput(std::shared_ptr<WritableFile> file) {
  return std::make_shared<OutputOverWritableFile>(std::move(file));
}

}  // namespace torii::data
