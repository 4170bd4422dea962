#include "base/chosen_kind.h"
#include "model/loss/bce.h"
#include "model/loss/bpr.h"
#include "model/loss/loss.h"
#include "model/loss/softmax.h"
#include "model/loss/symmetric.h"

namespace torii::model {

void Validate(const LossConfig& config, const ConfigRules& rules) {
  if (config.has_bpr()) {
    rules.Require(config.bpr().negatives() >= 1, "bpr.negatives", config.bpr().negatives(),
                  "at least 1");
  }
  if (config.has_bce()) {
    rules.Require(config.bce().negatives() >= 1, "bce.negatives", config.bce().negatives(),
                  "at least 1");
  }
}

LossNeeds NeedsOf(const LossConfig& config) {
  return MakeLoss(config, kernels::Device::Cpu())->needs();
}

std::string NameOf(const LossConfig& config) { return ChosenKind(config, "softmax"); }

std::unique_ptr<Loss> MakeLoss(const LossConfig& config, const kernels::Device& device) {
  switch (config.kind_case()) {
    case LossConfig::kSymmetric:
      return std::make_unique<SymmetricLoss>(config.symmetric(), device);
    case LossConfig::kBpr:
      return std::make_unique<BprLoss>(config.bpr());
    case LossConfig::kBce:
      return std::make_unique<BceLoss>(config.bce());
    case LossConfig::kSoftmax:
    case LossConfig::KIND_NOT_SET:
      return std::make_unique<SoftmaxLoss>(config.softmax(), device);
  }
  return std::make_unique<SoftmaxLoss>(config.softmax(), device);
}

}  // namespace torii::model
