#include "base/clean_text.h"

#include <gtest/gtest.h>

namespace consilium {
namespace {

TEST(CleanUtf8, KeepsWhatIsWellFormedAndReplacesEachBadByte) {
  EXPECT_EQ(CleanUtf8("Z\xC3\xBCrich \xE2\x82\xAC \xF0\x9F\x98\x80"),
            "Z\xC3\xBCrich \xE2\x82\xAC \xF0\x9F\x98\x80");
  EXPECT_EQ(CleanUtf8("a\xFFz"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(CleanUtf8("\xC0\xAF"), "\xEF\xBF\xBD\xEF\xBF\xBD");  // overlong '/'
  EXPECT_EQ(CleanUtf8("\xED\xA0\x80"),
            "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");             // a surrogate
  EXPECT_EQ(CleanUtf8("\xE2\x82"), "\xEF\xBF\xBD\xEF\xBF\xBD");  // cut short
}

TEST(EscapeHtml, EscapesMarkupAndReplacesWhatCouldReorderOrHideText) {
  EXPECT_EQ(EscapeHtml("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
  EXPECT_EQ(EscapeHtml("a\xE2\x80\xAE"
                       "b"),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(EscapeHtml(std::string("a\0b\x7F", 4)),
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD");
  EXPECT_EQ(EscapeHtml("\xC2\x85"), "\xEF\xBF\xBD");
  EXPECT_EQ(EscapeHtml("Z\xC3\xBCrich\t1"), "Z\xC3\xBCrich\t1");
}

}  // namespace
}  // namespace consilium
