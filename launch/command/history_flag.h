// The flag --history of the commands that give users their newest history.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "data/history.h"
#include "launch/config/flags.h"

namespace torii::launch {

class HistoryFlag {
 public:
  void Declare(FlagSet& flags) {
    flags.AddText("history", &text_, "all|train",
                  "What a user's history holds: all that is known, held-out interactions too, or "
                  "the training interactions alone. Default: all.");
  }
  absl::Status Check() const {
    if (text_.empty() || text_ == "all" || text_ == "train") return absl::OkStatus();
    return UsageError(absl::StrCat("--history: '", text_, "' is neither all nor train"));
  }
  data::HistoryUpTo up_to() const {
    return text_ == "train" ? data::HistoryUpTo::kTraining : data::HistoryUpTo::kAll;
  }

 private:
  std::string text_;
};

}  // namespace torii::launch
