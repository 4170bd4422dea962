#include "data/encode/text_tokens.h"

#include <unicode/brkiter.h>
#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/uscript.h>
#include <unicode/uversion.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/digest.h"

namespace torii::data {
namespace {

// Grows when the same ICU gives other words.
constexpr int kRules = 2;
// Words and n-grams of the same letters have different rows (as far as the hash goes).
constexpr uint64_t kWordSeed = 1;
constexpr uint64_t kNgramSeed = 2;

bool HasNoSpaces(char32_t c) {
  constexpr std::array<UScriptCode, 8> kScripts = {
      USCRIPT_HAN,  USCRIPT_HIRAGANA, USCRIPT_KATAKANA, USCRIPT_BOPOMOFO,
      USCRIPT_THAI, USCRIPT_LAO,      USCRIPT_KHMER,    USCRIPT_MYANMAR};
  constexpr char32_t kFirst = 0x0E00;  // of all of them
  return c >= kFirst && std::any_of(kScripts.begin(), kScripts.end(), [c](UScriptCode script) {
           return uscript_hasScript(static_cast<UChar32>(c), script) != 0;
         });
}

// Collects the words of a text from its pieces.
class WordList {
 public:
  // A piece of one kind of script, which begins at `begin`.
  void Add(std::u32string piece, int32_t begin, int32_t end) {
    if (!HasNoSpaces(piece[0])) {
      Flush();
      words_.push_back(std::move(piece));
      return;
    }
    if (begin != run_end_) {
      Flush();
    }
    run_ += piece;
    run_end_ = end;
  }
  std::vector<std::u32string> Take() {
    Flush();
    return std::move(words_);
  }

 private:
  // The pairs of the run of a script without spaces that was collected.
  void Flush() {
    if (run_.size() == 1) {
      words_.push_back(run_);
    }
    for (size_t i = 0; i + 1 < run_.size(); ++i) {
      words_.push_back(run_.substr(i, 2));
    }
    run_.clear();
    run_end_ = -1;
  }

  std::vector<std::u32string> words_;
  std::u32string run_;
  int32_t run_end_ = -1;
};

}  // namespace

struct Tokenizer::Icu {
  const icu::Normalizer2* fold = nullptr;  // NFKC and case folding in one; a constant of ICU
  std::unique_ptr<icu::BreakIterator> words;
};

Tokenizer::Tokenizer() : icu_(std::make_unique<Icu>()) {
  UErrorCode code = U_ZERO_ERROR;
  icu_->fold = icu::Normalizer2::getNFKCCasefoldInstance(code);
  icu_->words.reset(icu::BreakIterator::createWordInstance(icu::Locale::getRoot(), code));
  TORII_CHECK(U_SUCCESS(code), "ICU: ", u_errorName(code));
}

Tokenizer::~Tokenizer() = default;

std::vector<std::u32string> Tokenizer::Words(std::string_view text) const {
  UErrorCode code = U_ZERO_ERROR;
  const icu::UnicodeString folded = icu_->fold->normalize(
      icu::UnicodeString::fromUTF8({text.data(), static_cast<int32_t>(text.size())}), code);
  TORII_CHECK(U_SUCCESS(code), "ICU: ", u_errorName(code));
  icu_->words->setText(folded);
  WordList list;
  int32_t begin = icu_->words->first();
  for (int32_t end = icu_->words->next(); end != icu::BreakIterator::DONE;
       begin = end, end = icu_->words->next()) {
    if (icu_->words->getRuleStatus() < UBRK_WORD_NONE_LIMIT) {
      continue;  // blanks, punctuation, signs
    }
    // Where a word has both kinds of script, it is cut between them.
    std::u32string piece;
    int32_t piece_begin = begin;
    for (int32_t at = begin; at < end; at = folded.moveIndex32(at, 1)) {
      const auto c = static_cast<char32_t>(folded.char32At(at));
      if (!piece.empty() && HasNoSpaces(c) != HasNoSpaces(piece[0])) {
        list.Add(std::exchange(piece, {}), piece_begin, at);
        piece_begin = at;
      }
      piece.push_back(c);
    }
    list.Add(std::move(piece), piece_begin, end);
  }
  return list.Take();
}

std::vector<int32_t> Tokenizer::Rows(std::string_view text, const Text& config) const {
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

std::string TokenizerVersion() {
  UVersionInfo icu;
  UVersionInfo unicode;
  u_getVersion(icu);
  u_getUnicodeVersion(unicode);
  return absl::StrCat(kRules, ", ICU ", icu[0], ".", icu[1], ", Unicode ", unicode[0], ".",
                      unicode[1]);
}

std::string ToUtf8(std::u32string_view characters) {
  icu::UnicodeString text;
  for (const char32_t c : characters) {
    text.append(static_cast<UChar32>(c));
  }
  std::string utf8;
  text.toUTF8String(utf8);
  return utf8;
}

}  // namespace torii::data
