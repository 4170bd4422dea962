#include "trainer/step/pending_step.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "kernels/host_tensors.h"

namespace torii::trainer {

absl::StatusOr<StepResult> Collect(const PendingStep& pending, model::Loss& loss,
                                   bool check_finite) {
  const StepResult result{.loss = kernels::NumberOf(pending.loss),
                          .weight_sum = pending.weight_sum,
                          .gradient_norm = kernels::NumberOf(pending.gradient_norm),
                          .columns = pending.columns};
  const bool finite = std::isfinite(result.loss) && std::isfinite(result.gradient_norm);
  if (finite || !check_finite) return result;
  const std::string why = loss.Explain(pending.input);
  return DivergedError(
      absl::StrCat("step ", pending.step, ": loss ", result.loss, ", dense gradient norm ",
                   result.gradient_norm, " are not finite", why.empty() ? "" : ": ", why,
                   "; nothing was updated. Lower the learning rates, raise the temperature, set "
                   "train.clip_norm, or look for extreme values in the features"));
}

}  // namespace torii::trainer
