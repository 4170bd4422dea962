// Words and character n-grams of a text.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/data.pb.h"

namespace torii::data {

// Cuts texts into words by the rules of Unicode, as ICU has them. Used by one thread.
class Tokenizer {
 public:
  Tokenizer();
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // The words of valid UTF-8. First the text is normalised (NFKC) and its case folded: width, case
  // and composed letters make no difference. A word is one of UAX #29 with a letter or digit. Runs
  // of scripts without spaces (Han, kana, Thai, Lao, Khmer, Myanmar) give the pairs of neighbouring
  // characters instead; a run of one character gives that.
  std::vector<std::u32string> Words(std::string_view text) const;

  // The embedding rows of a text, in [0, config.hash_rows): hashes of its words, if config.words,
  // then of the n-grams inside its words; the first config.max_tokens of them.
  std::vector<int32_t> Rows(std::string_view text, const Text& config) const;

 private:
  struct Icu;
  const std::unique_ptr<Icu> icu_;
};

// What the rows of a text depend on beside its configuration: "2, ICU 72.1, Unicode 15.0".
std::string TokenizerVersion();

// `characters` in UTF-8.
std::string ToUtf8(std::u32string_view characters);

}  // namespace torii::data
