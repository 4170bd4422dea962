#include "base/digest.h"

#include <set>
#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace torii {
namespace {

TEST(DigestTest, GivesThePublishedAnswerForNothing) {
  EXPECT_EQ(DigestOf(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(StableHash("", 0), 0x2d06800538d394c2u);
}

TEST(DigestTest, DoesNotDependOnHowTheBytesAreCut) {
  const std::string text(1003, 'x');
  for (const size_t piece : {1, 7, 256, 1003}) {
    Digest digest;
    for (size_t begin = 0; begin < text.size(); begin += piece) {
      digest.Update(std::string_view(text).substr(begin, piece));
    }
    EXPECT_EQ(digest.Hex(), DigestOf(text)) << piece;
  }
}

TEST(DigestTest, SeesEverySingleFlippedBit) {
  std::string text(300, '\0');
  std::set<std::string> seen = {DigestOf(text)};
  for (size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(1 << (bit % 8));
    seen.insert(DigestOf(flipped));
  }

  EXPECT_EQ(seen.size(), 8 * text.size() + 1);
}

TEST(DigestTest, KeepsItsStateWhenMoved) {
  Digest first;
  first.Update("two ");
  Digest second = std::move(first);
  second.Update("towers");

  EXPECT_EQ(second.Hex(), DigestOf("two towers"));
  EXPECT_EQ(second.Hex(), second.Hex());
}

TEST(StableHashTest, ChangesWithTextAndSeed) {
  EXPECT_NE(StableHash("a", 0), StableHash("b", 0));
  EXPECT_NE(StableHash("a", 0), StableHash("a", 1));
}

}  // namespace
}  // namespace torii
