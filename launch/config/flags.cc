#include "launch/config/flags.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/closest_name.h"
#include "base/exit_code.h"
#include "base/status_macros.h"

namespace torii::launch {
namespace {

constexpr size_t kHelpWidth = 100;
constexpr size_t kHelpColumn = 26;  // where the texts of flags begin

}  // namespace

void FlagSet::AddSwitch(const std::string& name, bool* value, const std::string& help) {
  Add({.name = name, .value_name = "", .help = help, .set = [value](const std::string&) {
         *value = true;
         return absl::OkStatus();
       }});
}

void FlagSet::AddText(const std::string& name, std::string* value, const std::string& value_name,
                      const std::string& help) {
  Add({.name = name, .value_name = value_name, .help = help, .set = [=](const std::string& text) {
         if (text.empty()) return UsageError(absl::StrCat("--", name, ": the value is empty"));
         *value = text;
         return absl::OkStatus();
       }});
}

void FlagSet::AddTexts(const std::string& name, std::vector<std::string>* values,
                       const std::string& value_name, const std::string& help) {
  Add({.name = name,
       .value_name = value_name,
       .help = help,
       .repeatable = true,
       .set = [=](const std::string& text) {
         if (text.empty()) return UsageError(absl::StrCat("--", name, ": the value is empty"));
         values->push_back(text);
         return absl::OkStatus();
       }});
}

void FlagSet::AddInteger(const std::string& name, int64_t* value, int64_t least,
                         const std::string& help) {
  Add({.name = name, .value_name = "N", .help = help, .set = [=](const std::string& text) {
         int64_t number = 0;
         if (!absl::SimpleAtoi(text, &number) || number < least) {
           return UsageError(
               absl::StrCat("--", name, ": '", text, "' is not a whole number >= ", least));
         }
         *value = number;
         return absl::OkStatus();
       }});
}

void FlagSet::AddSeed(const std::string& name, std::optional<uint64_t>* value,
                      const std::string& help) {
  Add({.name = name, .value_name = "N", .help = help, .set = [=](const std::string& text) {
         uint64_t number = 0;
         if (!absl::SimpleAtoi(text, &number)) {
           return UsageError(
               absl::StrCat("--", name, ": '", text, "' is not a whole number in [0, 2^64)"));
         }
         *value = number;
         return absl::OkStatus();
       }});
}

void FlagSet::AddIntegers(const std::string& name, std::vector<int>* values,
                          const std::string& help) {
  Add({.name = name, .value_name = "N,N,...", .help = help, .set = [=](const std::string& text) {
         values->clear();
         for (const absl::string_view part : absl::StrSplit(text, ',')) {
           int number = 0;
           if (!absl::SimpleAtoi(part, &number) || number < 1) {
             return UsageError(absl::StrCat("--", name, ": '", part, "' in '", text,
                                            "' is not a whole number >= 1"));
           }
           values->push_back(number);
         }
         return absl::OkStatus();
       }});
}

void FlagSet::AddWords(const std::string& value_name, std::vector<std::string>* words, size_t least,
                       size_t most, const std::string& help) {
  words_name_ = value_name;
  words_help_ = help;
  words_ = words;
  least_words_ = least;
  most_words_ = most;
}

std::vector<std::string> FlagSet::Names() const {
  std::vector<std::string> names = {"help"};
  for (const Flag& flag : flags_) names.push_back(flag.name);
  return names;
}

absl::Status FlagSet::ParseFlag(std::span<const std::string> arguments, size_t* at) {
  const std::string& argument = arguments[*at];
  const size_t equals = argument.find('=');
  const size_t dashes = argument.starts_with("--") ? 2 : 1;
  const std::string name =
      argument.substr(dashes, equals == std::string::npos ? equals : equals - dashes);
  const auto flag = std::find_if(flags_.begin(), flags_.end(),
                                 [&](const Flag& candidate) { return candidate.name == name; });
  if (flag == flags_.end() || dashes == 1) {
    const std::string closest = ClosestName(name, Names());
    return UsageError(absl::StrCat(
        "unknown option '", argument.substr(0, equals), "'",
        closest.empty() ? "; see --help" : absl::StrCat(" (did you mean '--", closest, "'?)")));
  }
  if (flag->seen && !flag->repeatable) {
    return UsageError(absl::StrCat("--", name, " is given twice"));
  }
  flag->seen = true;
  if (flag->value_name.empty()) {
    if (equals != std::string::npos) {
      return UsageError(absl::StrCat("--", name, " takes no value"));
    }
    return flag->set("");
  }
  if (equals != std::string::npos) return flag->set(argument.substr(equals + 1));
  if (*at + 1 >= arguments.size()) {
    return UsageError(absl::StrCat("--", name, " needs a value: --", name, " ", flag->value_name));
  }
  ++*at;
  return flag->set(arguments[*at]);
}

absl::Status FlagSet::Parse(std::span<const std::string> arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    if (argument == "--help" || argument == "-h") {
      help_asked_ = true;
      return absl::OkStatus();
    }
  }
  bool only_words = false;
  std::vector<std::string> words;
  for (size_t at = 0; at < arguments.size(); ++at) {
    const std::string& argument = arguments[at];
    if (argument == "--" && !only_words) {
      only_words = true;
    } else if (!only_words && argument.size() > 1 && argument[0] == '-') {
      TORII_RETURN_IF_ERROR(ParseFlag(arguments, &at));
    } else {
      if (words.size() == most_words_) {
        return UsageError(absl::StrCat("unexpected argument '", argument, "'"));
      }
      words.push_back(argument);
    }
  }
  if (words_ != nullptr && !words.empty()) *words_ = std::move(words);
  return CheckWords();
}

absl::Status FlagSet::CheckWords() const {
  if (words_ == nullptr || words_->size() >= least_words_) return absl::OkStatus();
  return UsageError(absl::StrCat(words_name_, " is missing: ", words_help_));
}

std::string FlagSet::WordsUsage() const {
  if (words_ == nullptr) return "";
  return least_words_ > 0 ? " " + words_name_ : " [" + words_name_ + "]";
}

std::string FlagSet::Help() const {
  std::string out;
  const auto line = [&](std::string left, const std::string& help) {
    left = "  " + left;
    if (left.size() + 2 > kHelpColumn) {
      absl::StrAppend(&out, left, "\n", std::string(kHelpColumn, ' '));
    } else {
      absl::StrAppend(&out, left, std::string(kHelpColumn - left.size(), ' '));
    }
    absl::StrAppend(&out, WrapText(help, kHelpWidth - kHelpColumn, kHelpColumn), "\n");
  };
  if (words_ != nullptr) line(words_name_, words_help_);
  for (const Flag& flag : flags_) {
    line(absl::StrCat("--", flag.name, flag.value_name.empty() ? "" : " ", flag.value_name),
         flag.help + (flag.repeatable ? " May be repeated." : ""));
  }
  line("--help", "This text.");
  return out;
}

std::string WrapText(const std::string& text, size_t width, size_t indent) {
  std::string out;
  size_t column = 0;
  for (const absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (column > 0 && column + 1 + word.size() > width) {
      absl::StrAppend(&out, "\n", std::string(indent, ' '));
      column = 0;
    }
    if (column > 0) {
      out += ' ';
      ++column;
    }
    absl::StrAppend(&out, word);
    column += word.size();
  }
  return out;
}

}  // namespace torii::launch
