#include "tests/support/elsewhere_device.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/alloc_cpu.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <torch/library.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace torii::testing {
namespace {

constexpr c10::DeviceType kElsewhere = c10::DeviceType::PrivateUse1;

c10::Device TheDevice() { return {kElsewhere, 0}; }

// ---- Memory ----

class ElsewhereAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* const data = bytes == 0 ? nullptr : c10::alloc_cpu(bytes);
    return {data, data, &c10::free_cpu, TheDevice()};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &c10::free_cpu; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
};

// Lives until the process ends: tensors of static objects may outlast everything else.
ElsewhereAllocator& Memory() {
  static auto* const memory = new ElsewhereAllocator;
  return *memory;
}

// ---- Devices and streams: there is one of each ----

class Guard final : public c10::impl::DeviceGuardImplInterface {
 public:
  c10::DeviceType type() const final { return kElsewhere; }
  c10::Device exchangeDevice(c10::Device) const final { return TheDevice(); }
  c10::Device getDevice() const final { return TheDevice(); }
  void setDevice(c10::Device) const final {}
  void uncheckedSetDevice(c10::Device) const noexcept final {}
  c10::Stream getStream(c10::Device) const final { return TheStream(); }
  c10::Stream getDefaultStream(c10::Device) const final { return TheStream(); }
  c10::Stream exchangeStream(c10::Stream) const final { return TheStream(); }
  c10::DeviceIndex deviceCount() const noexcept final { return 1; }
  bool queryStream(const c10::Stream&) const final { return true; }
  void synchronizeStream(const c10::Stream&) const final {}

 private:
  static c10::Stream TheStream() { return c10::Stream(c10::Stream::DEFAULT, TheDevice()); }
};

class Hooks final : public at::PrivateUse1HooksInterface {
 public:
  bool isBuilt() const final { return true; }
  bool isAvailable() const final { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const final { return true; }
  c10::DeviceIndex deviceCount() const final { return 1; }
  void setCurrentDevice(c10::DeviceIndex) const final {}
  c10::DeviceIndex getCurrentDevice() const final { return 0; }
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex) const final { return 0; }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex) const final { return 0; }
  // at::manual_seed gives every device its seed. Nothing draws from it.
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const final {
    static const auto* const generator = new at::Generator(at::detail::createCPUGenerator());
    return *generator;
  }
  c10::Allocator* getPinnedMemoryAllocator() const final { return &PinnedMemory(); }
  bool isPinnedPtr(const void* data) const final { return PinnedMemory().Holds(data); }

 private:
  // The host's memory that a GPU copies from while its caller goes on.
  class PinnedAllocator final : public c10::Allocator {
   public:
    c10::DataPtr allocate(size_t bytes) override {
      void* const data = c10::alloc_cpu(bytes);
      const std::lock_guard lock(mutex_);
      begins_.insert(data);
      return {data, data, &Free, c10::Device(c10::kCPU)};
    }
    c10::DeleterFnPtr raw_deleter() const override { return &Free; }
    void copy_data(void* to, const void* from, size_t bytes) const override {
      std::memcpy(to, from, bytes);
    }
    // data: where a tensor's memory begins.
    bool Holds(const void* data) const {
      const std::lock_guard lock(mutex_);
      return begins_.contains(data);
    }

   private:
    static void Free(void* data) {
      {
        const std::lock_guard lock(PinnedMemory().mutex_);
        PinnedMemory().begins_.erase(data);
      }
      c10::free_cpu(data);
    }
    mutable std::mutex mutex_;
    std::set<const void*> begins_;
  };
  static PinnedAllocator& PinnedMemory() {
    static auto* const memory = new PinnedAllocator;
    return *memory;
  }
};

// ---- What a caller of a GPU waits for ----

class WaitLog final : public c10::DebugInfoBase {
 public:
  void Add(std::string what) {
    const std::lock_guard lock(mutex_);
    waits_.push_back(std::move(what));
  }
  std::vector<std::string> list() const {
    const std::lock_guard lock(mutex_);
    return waits_;
  }

 private:
  mutable std::mutex mutex_;  // a backward pass runs in another thread
  std::vector<std::string> waits_;
};

void NoteWait(std::string what) {
  auto* const log =
      dynamic_cast<WaitLog*>(c10::ThreadLocalDebugInfo::get(c10::DebugInfoKind::TEST_INFO));
  if (log != nullptr) log->Add(std::move(what));
}

std::string ShapeText(const at::Tensor& tensor) {
  return absl::StrCat(c10::toString(tensor.scalar_type()), " [",
                      absl::StrJoin(tensor.sizes(), ", "), "]");
}

// Operations whose results have as many elements as values say, or are numbers of the host.
bool Waits(const c10::OperatorHandle& op, const torch::jit::Stack& arguments) {
  const std::string& name = op.schema().name();
  for (const char* waiting :
       {"aten::_local_scalar_dense", "aten::equal", "aten::nonzero", "aten::masked_select",
        "aten::_unique2", "aten::unique_consecutive", "aten::unique_dim", "aten::bincount"}) {
    if (name == waiting) return true;
  }
  // The number of results is an argument, or the sum of the repeats.
  return name == "aten::repeat_interleave" && arguments.back().isNone();
}

// ---- Operations ----

// One call of an operation of the CPU on the memory of the device's tensors.
class HostCall {
 public:
  explicit HostCall(std::string name) : name_(std::move(name)) {}

  c10::IValue ToHost(const c10::IValue& value) {
    if (value.isTensor()) return AliasOf(value.toTensor());
    if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(AliasOf(tensor));
      return list;
    }
    if (value.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> list;
      for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
        list.push_back(tensor.has_value() ? std::optional(AliasOf(*tensor)) : std::nullopt);
      }
      return list;
    }
    if (value.isDevice() && value.toDevice().type() == kElsewhere) return c10::Device(c10::kCPU);
    return value;
  }

  c10::IValue ToDevice(const c10::IValue& value) {
    if (value.isTensor()) return DeviceTensorOf(value.toTensor());
    if (!value.isTensorList()) return value;
    c10::List<at::Tensor> list;
    for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(DeviceTensorOf(tensor));
    return list;
  }

  // Gives the tensors of the device what the operation did to the sizes and memory of theirs.
  void Finish() {
    for (auto& [storage, alias] : storages_) {
      if (alias.data() == storage.data()) continue;
      c10::DataPtr grown = Memory().allocate(alias.nbytes());
      std::memcpy(grown.get(), alias.data(), alias.nbytes());
      storage.set_data_ptr_noswap(std::move(grown));
      storage.set_nbytes(alias.nbytes());
    }
    for (const auto& [tensor, alias] : tensors_) {
      if (alias.sizes() == tensor.sizes() && alias.strides() == tensor.strides()) continue;
      tensor.unsafeGetTensorImpl()->set_sizes_and_strides(alias.sizes(), alias.strides(),
                                                          alias.storage_offset());
    }
  }

  // A tensor of the CPU that looks at the memory of one of the device.
  at::Tensor AliasOf(const at::Tensor& tensor) {
    if (!tensor.defined()) return tensor;
    if (tensor.device().type() != kElsewhere) {
      TORCH_CHECK(tensor.dim() == 0, name_, ": a tensor ", ShapeText(tensor), " on ",
                  tensor.device().str(), " among those of the device");
      return tensor;
    }
    for (const auto& [known, alias] : tensors_) {
      if (known.is_same(tensor)) return alias;
    }
    at::Tensor alias = Make(HostStorageOf(tensor.storage()), tensor, c10::DispatchKey::CPU);
    tensors_.emplace_back(tensor, alias);
    return alias;
  }

 private:
  static at::Tensor Make(const c10::Storage& storage, const at::Tensor& like,
                         c10::DispatchKey key) {
    at::Tensor made = at::detail::make_tensor<c10::TensorImpl>(
        c10::Storage(storage), c10::DispatchKeySet(key), like.dtype());
    c10::TensorImpl* const of = made.unsafeGetTensorImpl();
    of->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
    if (like.unsafeGetTensorImpl()->is_wrapped_number()) of->set_wrapped_number(true);
    return made;
  }

  c10::Storage HostStorageOf(const c10::Storage& storage) {
    for (const auto& [known, alias] : storages_) {
      if (known.is_alias_of(storage)) return alias;
    }
    c10::Storage alias(c10::Storage::use_byte_size_t(), storage.nbytes(),
                       c10::DataPtr(storage.mutable_data(), c10::Device(c10::kCPU)),
                       c10::GetCPUAllocator(), /*resizable=*/true);
    storages_.emplace_back(storage, alias);
    return alias;
  }

  at::Tensor DeviceTensorOf(const at::Tensor& result) {
    if (!result.defined() || result.device().type() == kElsewhere) return result;
    for (const auto& [tensor, alias] : tensors_) {
      if (alias.is_same(result)) return tensor;
    }
    for (const auto& [storage, alias] : storages_) {
      if (alias.is_alias_of(result.storage())) {
        return Make(storage, result, c10::DispatchKey::PrivateUse1);
      }
    }
    // New memory, which the tensor of the device keeps.
    auto* const kept = new c10::Storage(result.storage());
    const c10::Storage storage(
        c10::Storage::use_byte_size_t(), kept->nbytes(),
        c10::DataPtr(
            kept->mutable_data(), kept,
            [](void* owner) { delete static_cast<c10::Storage*>(owner); }, TheDevice()),
        &Memory(), /*resizable=*/true);
    storages_.emplace_back(storage, *kept);
    return Make(storage, result, c10::DispatchKey::PrivateUse1);
  }

  const std::string name_;
  std::vector<std::pair<c10::Storage, c10::Storage>> storages_;  // of the device, of the CPU
  std::vector<std::pair<at::Tensor, at::Tensor>> tensors_;
};

void RunOnHost(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto begin = stack->end() - static_cast<ptrdiff_t>(op.schema().arguments().size());
  HostCall call(op.schema().name());
  if (Waits(op, *stack)) NoteWait(op.schema().name());
  for (auto argument = begin; argument != stack->end(); ++argument) {
    *argument = call.ToHost(*argument);
  }
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  for (auto result = stack->end() - static_cast<ptrdiff_t>(op.schema().returns().size());
       result != stack->end(); ++result) {
    *result = call.ToDevice(*result);
  }
  call.Finish();
}

at::Tensor Empty(at::IntArrayRef size, std::optional<at::ScalarType> dtype,
                 std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>,
                 std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &Memory(),
                                   c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   c10::dtype_or_default(dtype), format);
}

at::Tensor EmptyStrided(at::IntArrayRef size, at::IntArrayRef stride,
                        std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                        std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &Memory(),
                                           c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           c10::dtype_or_default(dtype));
}

// The only operation that takes tensors of the host and of the device.
at::Tensor CopyFrom(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  HostCall call("copy_");
  const auto on_host = [&](const at::Tensor& x) { return x.is_cpu() ? x : call.AliasOf(x); };
  if (to.is_cpu()) NoteWait(absl::StrCat("copy to the host of ", ShapeText(from)));
  if (from.is_cpu() && from.dim() > 0 && !(non_blocking && from.is_pinned())) {
    NoteWait(absl::StrCat("copy to the device of ", ShapeText(from)));
  }
  at::Tensor alias = on_host(to);
  alias.copy_(on_host(from));
  return to;
}

at::Tensor& SetStorage(at::Tensor& tensor, c10::Storage source, int64_t offset,
                       at::IntArrayRef size, at::IntArrayRef stride) {
  TORCH_CHECK(source.device().type() == kElsewhere, "set_: memory of ", source.device().str());
  tensor.unsafeGetTensorImpl()->set_storage_keep_dtype(std::move(source));
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(size, stride, offset);
  return tensor;
}

// Devices that are neither a CPU nor known to LibTorch want this one as a whole. Differentiable,
// since it is composed; the sums stand in the order of the composition that the CPU takes.
std::tuple<at::Tensor, at::Tensor> GruCell(const at::Tensor& input, const at::Tensor& hidden,
                                           const at::Tensor& state,
                                           const std::optional<at::Tensor>& input_bias,
                                           const std::optional<at::Tensor>& hidden_bias) {
  const auto gates_of = [](const at::Tensor& product, const std::optional<at::Tensor>& bias) {
    return (bias.has_value() && bias->defined() ? product + *bias : product).chunk(3, 1);
  };
  const std::vector<at::Tensor> of_input = gates_of(input, input_bias);
  const std::vector<at::Tensor> of_state = gates_of(hidden, hidden_bias);
  const at::Tensor reset = at::sigmoid(of_state[0] + of_input[0]);
  const at::Tensor update = at::sigmoid(of_state[1] + of_input[1]);
  const at::Tensor candidate = at::tanh(of_input[2] + of_state[2] * reset);
  return {(state - candidate) * update + candidate, at::empty({0}, state.options())};
}

bool Register() {
  c10::register_privateuse1_backend("elsewhere");
  c10::SetAllocator(kElsewhere, &Memory());
  c10::impl::registerDeviceGuard(kElsewhere, new Guard);
  at::RegisterPrivateUse1HooksInterface(new Hooks);
  static auto* const fallback = new torch::Library(
      torch::Library::IMPL, "_", c10::DispatchKey::PrivateUse1, __FILE__, __LINE__);
  fallback->fallback(torch::CppFunction::makeFromBoxedFunction<&RunOnHost>());
  static auto* const operations = new torch::Library(
      torch::Library::IMPL, "aten", c10::DispatchKey::PrivateUse1, __FILE__, __LINE__);
  operations->impl("empty.memory_format", TORCH_FN(Empty));
  operations->impl("empty_strided", TORCH_FN(EmptyStrided));
  operations->impl("_copy_from", TORCH_FN(CopyFrom));
  operations->impl("set_.source_Storage_storage_offset", TORCH_FN(SetStorage));
  // Composed on devices that LibTorch does not know, with other bits than the CPU's.
  for (const char* composed : {"native_layer_norm"}) {
    operations->impl(composed, torch::CppFunction::makeFromBoxedFunction<&RunOnHost>());
  }
  static auto* const differentiable = new torch::Library(
      torch::Library::IMPL, "aten", c10::DispatchKey::AutogradPrivateUse1, __FILE__, __LINE__);
  differentiable->impl("_thnn_fused_gru_cell", TORCH_FN(GruCell));
  return true;
}

// Before main(): the first backward pass of a process, on whatever device, starts a thread for each
// device that is known by then. Where a test program runs on a GPU, LibTorch knows the GPU alone: it
// takes pinned memory and streams from one device.
const bool kIsRegistered = std::getenv("TORII_CUDA_PLUGIN") == nullptr && Register();

}  // namespace

struct DeviceWaits::State {
  std::shared_ptr<WaitLog> log = std::make_shared<WaitLog>();
  c10::DebugInfoGuard guard{c10::DebugInfoKind::TEST_INFO, log};
};

DeviceWaits::DeviceWaits() : state_(std::make_unique<State>()) {}
DeviceWaits::~DeviceWaits() = default;
std::vector<std::string> DeviceWaits::list() const { return state_->log->list(); }

kernels::Device Elsewhere() {
  TORCH_CHECK(kIsRegistered, "a static object asks for the device, or TORII_CUDA_PLUGIN is set");
  return {TheDevice(), &kernels::Device::Emulated().kernels(), "elsewhere",
          kernels::Device::Pace::kBehindCalls};
}

}  // namespace torii::testing
