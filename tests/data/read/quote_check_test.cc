#include "data/read/quote_check.h"

#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace torii::data {
namespace {

using ::testing::HasSubstr;

// The first fault of `text` given in blocks of `block` bytes.
std::optional<QuoteFault> FaultOf(const std::string& text, size_t block, const QuoteRules& rules) {
  QuoteCheck check(rules);
  for (size_t at = 0; at < text.size(); at += block) {
    if (auto fault = check.Check(std::string_view(text).substr(at, block))) {
      return fault;
    }
  }
  return check.AtEnd();
}

// In blocks of every size the same fault, at `offset` with `what` in it; "": no fault.
void Expect(const std::string& text, int64_t offset, const std::string& what,
            const QuoteRules& rules = {}) {
  for (size_t block = 1; block <= text.size(); ++block) {
    const auto fault = FaultOf(text, block, rules);
    ASSERT_EQ(fault.has_value(), !what.empty()) << text << " in blocks of " << block;
    if (fault.has_value()) {
      EXPECT_EQ(fault->offset, offset) << text << " in blocks of " << block;
      EXPECT_THAT(fault->what, HasSubstr(what));
    }
  }
}

TEST(QuoteCheckTest, AcceptsWhatRfc4180Allows) {
  Expect("a,b\n1,\"x\"\n", 0, "");
  Expect("\"a\",\"b\"\r\n\"1,\"\"2\"\"\",\"\"\r\n", 0, "");
  Expect("a,b\n1,\"two\nlines\"\n", 0, "");
  Expect("a,b\n1,12\" mix\n", 0, "");  // not at the beginning of the value
  Expect("a,b\n1,\"x\" ,2\n", 0, "");
  Expect("a,b\n1,\"x\"", 0, "");
}

TEST(QuoteCheckTest, FindsAQuoteThatIsNotClosed) {
  Expect("a,b\n1,\"x\n2,y\n", 6, "not closed before the end of the file");
  Expect("a,b\n1,\"x\n2,\"y\n", 6, "not closed before another one, 1 line later");
  Expect("a,b\n1,\"x\"y\n", 6, "text after the closing quote");
  Expect("a,b\n1,\"x\n\n\n\n\"\n", 6, "not closed within 3 lines", {.max_lines = 3});
}

TEST(QuoteCheckTest, FindsRowsInsideAValue) {
  const std::string text = "a,b\n1,\"x\n2,y\n3,z\n4,12\"\n5,v\n";
  Expect(text, 6, "holds 2 lines that look like rows", {.columns = 2});
  Expect(text, 0, "");
  Expect("a,b\n1,\"x\n2,y\nno row\n4,12\"\n", 0, "", {.columns = 2});
}

}  // namespace
}  // namespace torii::data
