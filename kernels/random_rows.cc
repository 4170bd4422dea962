#include "kernels/random_rows.h"

#include <ATen/ATen.h>

#include "base/check.h"
#include "kernels/on_device.h"

namespace torii::kernels {
namespace {

RandomRowKey KeyOf(const RandomStream& stream) {
  const PhiloxKey key = stream.RowKey();
  return {{key[0], key[1]}};
}

}  // namespace

void FillNormalRows(const Device& device, const RandomStream& stream, int64_t first_row,
                    int64_t row_step, float scale, at::Tensor out) {
  TORII_CHECK(out.dim() == 2 && out.scalar_type() == at::kFloat, "rows: ", out.toString());
  if (out.numel() == 0) return;
  if (device.kernels().normal_rows == nullptr) {
    // No composition of LibTorch's gives these numbers: they are made on the host.
    const at::Tensor on_host = at::empty(out.sizes(), at::kFloat);
    FillNormalRows(Device::Cpu(), stream, first_row, row_step, scale, on_host);
    out.copy_(on_host);
    return;
  }
  CheckOnDevice(device, "FillNormalRows", out);
  TORII_CHECK(out.stride(1) == 1 || out.size(1) == 1, "the floats of a row are not adjacent");
  device.kernels().normal_rows({.key = KeyOf(stream),
                                .first_row = first_row,
                                .row_step = row_step,
                                .count = out.size(0),
                                .dim = out.size(1),
                                .stride = out.stride(0),
                                .scale = scale,
                                .out = out.mutable_data_ptr<float>()});
}

at::Tensor DropoutMask(const Device& device, const RandomStream& stream, const at::Tensor& key,
                       int64_t width, double drop) {
  TORII_CHECK(drop >= 0 && drop < 1, "dropout ", drop);
  CheckOnDevice(device, "DropoutMask", key);
  if (device.kernels().dropout_mask == nullptr) {
    return DropoutMask(Device::Cpu(), stream, key.cpu(), width, drop).to(key.device());
  }
  at::Tensor mask = at::empty({key.numel(), width}, key.options().dtype(at::kFloat));
  const at::Tensor keys = key.contiguous();
  device.kernels().dropout_mask({.key = KeyOf(stream),
                                 .row_key = keys.const_data_ptr<int64_t>(),
                                 .count = keys.numel(),
                                 .width = width,
                                 .drop = static_cast<float>(drop),
                                 .kept = static_cast<float>(1 / (1 - drop)),
                                 .out = mask.mutable_data_ptr<float>()});
  return mask;
}

}  // namespace torii::kernels
