// Words and character n-grams of a text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/data.pb.h"

namespace torii::data {

// The words of UTF-8 `text` in lower case. A word is a run of letters and digits. Beyond ASCII
// every character counts as a letter except those of some ranges: the signs of Latin-1, general
// punctuation, symbols (U+20A0 to U+2BFF), CJK and full-width punctuation. Latin, Greek and
// Cyrillic capitals become small letters. A byte that is not UTF-8 ends a word.
std::vector<std::u32string> Words(std::string_view text);

// `characters` in UTF-8.
std::string ToUtf8(std::u32string_view characters);

// The embedding rows of a text, in [0, config.hash_rows): hashes of its words, if config.words,
// then of the n-grams inside its words; the first config.max_tokens of them.
std::vector<int32_t> TextRows(std::string_view text, const Text& config);

}  // namespace torii::data
