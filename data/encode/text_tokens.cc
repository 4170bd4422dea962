#include "data/encode/text_tokens.h"

#include "base/digest.h"

namespace torii::data {
namespace {

constexpr char32_t kReplacement = 0xFFFD;
// Words and n-grams of the same letters have different rows (as far as the hash goes).
constexpr uint64_t kWordSeed = 1;
constexpr uint64_t kNgramSeed = 2;

// Takes one character off the front of `text`.
char32_t NextCharacter(std::string_view* text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>((*text)[i]); };
  const unsigned char lead = byte(0);
  const size_t length = lead < 0x80           ? 1
                        : (lead >> 5) == 0x6  ? 2
                        : (lead >> 4) == 0xe  ? 3
                        : (lead >> 3) == 0x1e ? 4
                                              : 0;
  if (length == 1) {
    text->remove_prefix(1);
    return lead;
  }
  char32_t character = length == 2 ? lead & 0x1f : length == 3 ? lead & 0x0f : lead & 0x07;
  bool good = length != 0 && text->size() >= length;
  for (size_t i = 1; good && i < length; ++i) {
    good = (byte(i) >> 6) == 2;
    character = (character << 6) | (byte(i) & 0x3f);
  }
  text->remove_prefix(good ? length : 1);
  return good ? character : kReplacement;
}

char32_t Lower(char32_t c) {
  if ((c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7)) {
    return c + 32;
  }
  // Latin Extended-A: pairs of upper and lower case, even-odd but for 0x139-0x148 and 0x179-0x17E.
  if (c >= 0x100 && c <= 0x17E && c != 0x130 && c != 0x131 && c != 0x138 && c != 0x149 &&
      c != 0x178) {
    const bool odd_is_upper = (c >= 0x139 && c <= 0x148) || c >= 0x179;
    return (c % 2 == 1) == odd_is_upper ? c + 1 : c;
  }
  if (c >= 0x391 && c <= 0x3A9 && c != 0x3A2) {
    return c + 32;  // Greek
  }
  if (c >= 0x410 && c <= 0x42F) {
    return c + 32;  // Cyrillic
  }
  return c >= 0x400 && c <= 0x40F ? c + 80 : c;
}

bool IsLetterOrDigit(char32_t c) {
  if (c < 0x80) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  }
  const bool latin_signs = c < 0xC0 && c != 0xAA && c != 0xB5 && c != 0xBA;
  const bool general_punctuation = c >= 0x2000 && c <= 0x206F;
  const bool symbols = c >= 0x20A0 && c <= 0x2BFF;
  const bool cjk_punctuation = (c >= 0x3000 && c <= 0x3004) || (c >= 0x3008 && c <= 0x3020);
  const bool full_width = c >= 0xFF01 && c <= 0xFF0F;
  return !latin_signs && !general_punctuation && !symbols && !cjk_punctuation && !full_width &&
         c != 0xD7 && c != 0xF7 && c != 0xFEFF && c != kReplacement;
}

}  // namespace

std::vector<std::u32string> Words(std::string_view text) {
  std::vector<std::u32string> words;
  bool in_word = false;
  while (!text.empty()) {
    const char32_t c = NextCharacter(&text);
    if (IsLetterOrDigit(c)) {
      if (!in_word) {
        words.emplace_back();
      }
      words.back().push_back(Lower(c));
      in_word = true;
    } else {
      in_word = false;
    }
  }
  return words;
}

std::string ToUtf8(std::u32string_view characters) {
  std::string utf8;
  for (const char32_t c : characters) {
    const auto tail = [&](int shift) {
      utf8.push_back(static_cast<char>(0x80 | ((c >> shift) & 0x3f)));
    };
    if (c < 0x80) {
      utf8.push_back(static_cast<char>(c));
    } else if (c < 0x800) {
      utf8.push_back(static_cast<char>(0xC0 | (c >> 6)));
      tail(0);
    } else if (c < 0x10000) {
      utf8.push_back(static_cast<char>(0xE0 | (c >> 12)));
      tail(6);
      tail(0);
    } else {
      utf8.push_back(static_cast<char>(0xF0 | (c >> 18)));
      tail(12);
      tail(6);
      tail(0);
    }
  }
  return utf8;
}

std::vector<int32_t> TextRows(std::string_view text, const Text& config) {
  std::vector<int32_t> rows;
  const std::vector<std::u32string> words = Words(text);
  const auto add = [&](std::u32string_view characters, uint64_t seed) {
    if (static_cast<int32_t>(rows.size()) < config.max_tokens()) {
      rows.push_back(static_cast<int32_t>(StableHash(ToUtf8(characters), seed) %
                                          static_cast<uint64_t>(config.hash_rows())));
    }
  };
  for (const std::u32string& word : words) {
    if (config.words()) {
      add(word, kWordSeed);
    }
  }
  const size_t n = static_cast<size_t>(config.ngram());
  for (const std::u32string& word : words) {
    for (size_t i = 0; n > 0 && i + n <= word.size(); ++i) {
      add(std::u32string_view(word).substr(i, n), kNgramSeed);
    }
  }
  return rows;
}

}  // namespace torii::data
