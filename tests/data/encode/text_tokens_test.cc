#include "data/encode/text_tokens.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace torii::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words;
  for (const std::u32string& word : Tokenizer().Words(text)) {
    words.push_back(ToUtf8(word));
  }
  return words;
}

TEST(TokenizerTest, WordsAreThoseOfUnicodeWithTheirCaseFolded) {
  EXPECT_THAT(Words("Toy Story (1995)"), ElementsAre("toy", "story", "1995"));
  EXPECT_THAT(Words("ÀÉÎ—Straße"), ElementsAre("àéî", "strasse"));
  EXPECT_THAT(Words("ΑΒΓ ДЁЖ Žižek"), ElementsAre("αβγ", "дёж", "žižek"));
  EXPECT_THAT(Words("Don't pay $3.50!"), ElementsAre("don't", "pay", "3.50"));
  EXPECT_THAT(Words("Հայ ქართული 한국어 العربية"),
              ElementsAre("հայ", "ქართული", "한국어", "العربية"));
  EXPECT_THAT(Words(""), IsEmpty());
  EXPECT_THAT(Words(" -- !? 🙂"), IsEmpty());
}

TEST(TokenizerTest, WidthAndComposedLettersMakeNoDifference) {
  EXPECT_EQ(Words("ﾄﾞﾗｺﾞﾝ"), Words("ドラゴン"));               // half-width
  EXPECT_EQ(Words("ＴＯＹ　ｓｔｏｒｙ"), Words("toy story"));  // full-width
  EXPECT_EQ(Words("Ame\u0301lie"), Words("Amélie"));           // a letter and its accent
  EXPECT_EQ(Words("ﬁlm"), Words("film"));
}

TEST(TokenizerTest, ScriptsWithoutSpacesGivePairs) {
  EXPECT_THAT(Words("日本語、映画"), ElementsAre("日本", "本語", "映画"));
  EXPECT_THAT(Words("となりのトトロ"), ElementsAre("とな", "なり", "りの", "のト", "トト", "トロ"));
  EXPECT_THAT(Words("犬 cat 猫"), ElementsAre("犬", "cat", "猫"));
  EXPECT_THAT(Words("スター・ウォーズ"), ElementsAre("スタ", "ター", "ウォ", "ォー", "ーズ"));
  EXPECT_THAT(Words("iPhone用ケース"), ElementsAre("iphone", "用ケ", "ケー", "ース"));
  EXPECT_THAT(Words("ไทย"), ElementsAre("ไท", "ทย"));
}

TEST(TokenizerTest, NgramsStayWithinWordsAndTokensAreLimited) {
  const Tokenizer tokenizer;
  Text config;
  config.set_words(false);
  config.set_ngram(3);
  // "abcd" has abc and bcd; "xy" has none.
  EXPECT_EQ(tokenizer.Rows("abcd xy", config).size(), 2U);
  EXPECT_EQ(tokenizer.Rows("abcd", config)[0], tokenizer.Rows("xabc", config)[1]);
  config.set_words(true);
  EXPECT_EQ(tokenizer.Rows("abcd xy", config).size(), 4U);
  config.set_max_tokens(3);
  EXPECT_EQ(tokenizer.Rows("abcd xy", config).size(), 3U);
}

TEST(TokenizerTest, SaysWhichRulesItFollows) {
  EXPECT_THAT(TokenizerVersion(), HasSubstr("2, ICU "));
}

}  // namespace
}  // namespace torii::data
