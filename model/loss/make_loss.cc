#include "absl/strings/str_cat.h"
#include "model/loss/bce.h"
#include "model/loss/bpr.h"
#include "model/loss/loss.h"
#include "model/loss/softmax.h"
#include "model/loss/symmetric.h"

namespace torii::model {
namespace {

void RequireNegatives(const char* kind, int32_t negatives, std::vector<std::string>* problems) {
  if (negatives >= 1) return;
  problems->push_back(absl::StrCat("model.loss.", kind, ".negatives = ", negatives,
                                   ": each row needs at least 1 negative"));
}

}  // namespace

std::vector<std::string> Validate(const LossConfig& config) {
  std::vector<std::string> problems;
  if (config.has_bpr()) RequireNegatives("bpr", config.bpr().negatives(), &problems);
  if (config.has_bce()) RequireNegatives("bce", config.bce().negatives(), &problems);
  return problems;
}

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
