// Command-line flags of one subcommand: declared with the variables they fill, parsed with errors
// that name the flag, and listed in the help text. No state outside the object; not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace torii::launch {

class FlagSet {
 public:
  // The variables are borrowed and hold the defaults until Parse. Names are without "--".
  void AddSwitch(const std::string& name, bool* value, const std::string& help);
  void AddText(const std::string& name, std::string* value, const std::string& value_name,
               const std::string& help);
  // May be given several times.
  void AddTexts(const std::string& name, std::vector<std::string>* values,
                const std::string& value_name, const std::string& help);
  // A whole number of at least `least`.
  void AddInteger(const std::string& name, int64_t* value, int64_t least, const std::string& help);
  void AddSeed(const std::string& name, std::optional<uint64_t>* value, const std::string& help);
  // "10,20,50": whole numbers of at least 1.
  void AddIntegers(const std::string& name, std::vector<int>* values, const std::string& help);
  // Arguments that belong to no flag: `least` to `most` words.
  void AddWords(const std::string& value_name, std::vector<std::string>* words, size_t least,
                size_t most, const std::string& help);

  // kUsage with the flag and the nearest name on anything it does not know. "--flag value" and
  // "--flag=value"; after "--" everything is a word.
  absl::Status Parse(std::span<const std::string> arguments);
  // True if Parse met --help or -h (then nothing else was checked).
  bool help_asked() const { return help_asked_; }

  // "  --flag VALUE   text", one line each, wrapped to 100 columns.
  std::string Help() const;
  // "[WORDS]" for the usage line, "" if it takes none.
  std::string WordsUsage() const;

 private:
  struct Flag {
    std::string name, value_name, help;
    bool repeatable = false;
    bool seen = false;
    std::function<absl::Status(const std::string&)>
        set;  // the text after the flag, "" for a switch
  };
  void Add(Flag flag) { flags_.push_back(std::move(flag)); }
  absl::Status ParseFlag(std::span<const std::string> arguments, size_t* at);
  absl::Status CheckWords() const;
  std::vector<std::string> Names() const;

  std::vector<Flag> flags_;
  std::string words_name_, words_help_;
  std::vector<std::string>* words_ = nullptr;
  size_t least_words_ = 0, most_words_ = 0;
  bool help_asked_ = false;
};

// `text` in lines of at most `width` characters, broken at spaces; every line but the first starts
// with `indent` spaces.
std::string WrapText(const std::string& text, size_t width, size_t indent);

}  // namespace torii::launch
