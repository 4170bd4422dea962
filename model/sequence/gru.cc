#include "model/sequence/gru.h"

#include <ATen/ATen.h>

#include <utility>

#include "model/pool_rows.h"
#include "model/sequence/time_major.h"

namespace torii::model {
namespace {

constexpr int64_t kGates = 3;  // r, z and g, in this order in the weights

class Gru final : public SequenceEncoder {
 public:
  Gru(const GruSequence& config, const std::string& name, int64_t width,
      DenseParameters& parameters)
      : parameters_(parameters), hidden_(config.hidden() > 0 ? config.hidden() : width) {
    const auto add = [&](const char* which, std::vector<int64_t> shape, Init init, bool decay) {
      return parameters.Add({name + which, std::move(shape), init, decay});
    };
    input_weight_ = add(".gru.input.weight", {kGates * hidden_, width}, Init::kLinear, true);
    input_bias_ = add(".gru.input.bias", {kGates * hidden_}, Init::kZero, false);
    state_weight_ = add(".gru.state.weight", {kGates * hidden_, hidden_}, Init::kLinear, true);
    state_bias_ = add(".gru.state.bias", {kGates * hidden_}, Init::kZero, false);
    first_state_ = add(".gru.first_state", {hidden_}, Init::kZero, false);
  }

  at::Tensor Forward(const Sequences& s, const RowDropout&) const final {
    const int64_t n = std::ssize(s.begins) - 1;
    const at::Tensor first = parameters_.Get(first_state_).unsqueeze(0).expand({n, hidden_});
    const kernels::Device& device = parameters_.device();
    if (s.index.size(0) == 0) {
      // The rows are part of the graph all the same: their gradient is 0.
      return first + PickRows(s.rows, s.index, device).sum();
    }
    const TimeMajor order = InTimeMajorOrder(s.begins, device);
    const at::Tensor events = PickRows(s.rows, s.index.index_select(0, order.event), device);
    const int64_t longer = order.sequence.size(0);  // sequences that are not empty
    const at::Tensor weights[] = {parameters_.Get(input_weight_), parameters_.Get(state_weight_),
                                  parameters_.Get(input_bias_), parameters_.Get(state_bias_)};
    const at::Tensor state = first.narrow(0, 0, longer).unsqueeze(0).contiguous();
    const auto [states, last] =
        at::gru(events, order.running, state, at::TensorList(weights), /*has_biases=*/true,
                /*num_layers=*/1, /*dropout=*/0.0, /*train=*/false, /*bidirectional=*/false);
    return first.index_copy(0, order.sequence, last.squeeze(0));
  }

 private:
  DenseParameters& parameters_;
  const int64_t hidden_;  // H
  int input_weight_, input_bias_, state_weight_, state_bias_, first_state_;
};

}  // namespace

std::unique_ptr<SequenceEncoder> MakeGruSequence(const GruSequence& config, const std::string& name,
                                                 int64_t width, DenseParameters& parameters) {
  return std::make_unique<Gru>(config, name, width, parameters);
}

}  // namespace torii::model
