// Words and character n-grams of a text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/data.pb.h"

namespace torii::data {

// The words of UTF-8 `text` in lower case. A word is a run of letters and digits; beyond ASCII
// every character counts as a letter unless Unicode calls it punctuation or space. Latin, Greek and
// Cyrillic capitals become small letters. A byte that is not UTF-8 counts as one character.
std::vector<std::u32string> Words(std::string_view text);

// UTF-8 of `characters`.
std::string ToUtf8(std::u32string_view characters);

// The embedding rows of a text: its words, then the n-grams of its words, hashed; at most
// max_tokens.
std::vector<int32_t> TextRows(std::string_view text, const Text& config);

}  // namespace torii::data
