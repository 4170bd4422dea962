// An input stream of Arrow made of a function that gives the next bytes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "arrow/result.h"

namespace torii::data {

// A stage of a pipe of bytes. Used by one thread.
class ByteStage {
 public:
  virtual ~ByteStage() = default;
  // Appends the next bytes to *out, at least one; none at the end of the file.
  virtual arrow::Status Next(std::string* out) = 0;
};

class StageStream final : public arrow::io::InputStream {
 public:
  explicit StageStream(std::unique_ptr<ByteStage> stage) : stage_(std::move(stage)) {}

  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  arrow::Result<int64_t> Tell() const override { return position_; }

  // Fewer bytes than asked for come only at the end.
  arrow::Result<int64_t> Read(int64_t nbytes, void* out) override {
    const size_t wanted = static_cast<size_t>(nbytes);
    while (ready_.size() - taken_ < wanted && !at_end_) {
      ready_.erase(0, std::exchange(taken_, 0));
      const size_t before = ready_.size();
      ARROW_RETURN_NOT_OK(stage_->Next(&ready_));
      at_end_ = ready_.size() == before;
    }
    const size_t given = std::min(wanted, ready_.size() - taken_);
    std::memcpy(out, ready_.data() + taken_, given);
    taken_ += given;
    position_ += static_cast<int64_t>(given);
    return static_cast<int64_t>(given);
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t nbytes) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(nbytes));
    ARROW_ASSIGN_OR_RAISE(const int64_t given, Read(nbytes, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(given));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }

 private:
  std::unique_ptr<ByteStage> stage_;
  std::string ready_;
  size_t taken_ = 0;
  int64_t position_ = 0;
  bool at_end_ = false;
  bool closed_ = false;
};

}  // namespace torii::data
