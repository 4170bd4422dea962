// torii config: print, check and explain configurations.
#include "absl/strings/str_cat.h"
#include "base/closest_name.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "launch/command/command.h"
#include "launch/command/output.h"
#include "launch/config/config_docs.h"
#include "launch/config/validate_config.h"

namespace torii::launch {
namespace {

class ConfigCommand final : public Command {
 public:
  CommandText text() const final {
    return {"config", "Print, check and explain configurations.",
            "print (the default) shows the configuration that the files and overrides give, with "
            "every default; check reports every broken rule and prints \"ok\" if there is none; "
            "defaults shows the defaults alone. --docs prints docs/configuration.md, the meaning "
            "of every field. No data are read.",
            "torii config check --config my.txtpb --set train.epochs=20\n"
            "torii config print --config base.txtpb --config mine.txtpb\n"
            "torii config --docs > docs/configuration.md"};
  }
  void Declare(FlagSet& flags) final {
    flags.AddWords("print|check|defaults", &words_, 0, 1, "What to do.");
    config_.Declare(flags);
    flags.AddSwitch("docs", &docs_, "Print the meaning of every field as Markdown.");
  }
  absl::StatusOr<int> Run(const CommandContext& context) final {
    if (!context.runtime.is_first_process()) return 0;
    TORII_ASSIGN_OR_RETURN(const std::string text, Text(context.files));
    TORII_RETURN_IF_ERROR(Print(text));
    return 0;
  }

 private:
  absl::StatusOr<std::string> Text(FileSystem& files) const {
    if (docs_) return ConfigDocs(EmbeddedDescriptors());
    const std::string what = words_.empty() ? "print" : words_[0];
    if (what == "defaults") {
      RunConfig config;
      FillDefaults(&config);
      return PrintConfig(config);
    }
    if (what == "print") {
      TORII_ASSIGN_OR_RETURN(const RunConfig config, LoadConfig(files, config_.Sources()));
      return PrintConfig(config);
    }
    if (what == "check") {
      TORII_RETURN_IF_ERROR(config_.Load(files).status());
      return "ok\n";
    }
    return UsageError(absl::StrCat("torii config: '", what, "' is not print, check or defaults",
                                   DidYouMean(what, {"print", "check", "defaults"})));
  }

  std::vector<std::string> words_;
  ConfigFlags config_;
  bool docs_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeConfigCommand() { return std::make_unique<ConfigCommand>(); }

}  // namespace torii::launch
