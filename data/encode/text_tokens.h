// Words and character n-grams of a text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/data.pb.h"

namespace torii::data {

// The words of UTF-8 `text` in lower case: runs of letters and digits (every character beyond ASCII
// that is not punctuation or a space of Unicode counts as a letter). Upper case is known for Latin,
// Greek and Cyrillic. A byte that is no UTF-8 is a character of its own.
std::vector<std::u32string> Words(std::string_view text);

// UTF-8 of `characters`.
std::string ToUtf8(std::u32string_view characters);

// The embedding rows of a text: its words, then the n-grams of its words, hashed; at most
// max_tokens.
std::vector<int32_t> TextRows(std::string_view text, const Text& config);

}  // namespace torii::data
