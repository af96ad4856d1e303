#include "src/jinja/values/marked_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gemma::internal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Part = MarkedText::Run;

constexpr TextOrigin kTemplate = TextOrigin::kTemplate;
constexpr TextOrigin kMessage = TextOrigin::kMessage;

MarkedText Sample() {
  MarkedText text("ab", kTemplate);
  text.Append("cde", kMessage);
  text.Append("f", kTemplate);
  return text;
}

TEST(MarkedText, JoinsEqualNeighbours) {
  MarkedText text = Sample();
  text.Append("g", kTemplate);
  text.Append("", kMessage);
  EXPECT_EQ(text.text(), "abcdefg");
  EXPECT_THAT(text.runs(), ElementsAre(Part{2, kTemplate}, Part{5, kMessage},
                                       Part{7, kTemplate}));
  EXPECT_THAT(MarkedText().runs(), IsEmpty());
}

TEST(MarkedText, AppendsMarkedText) {
  MarkedText text("x", kMessage);
  text.Append(Sample());
  text.Append(Sample(), 3, 3);
  EXPECT_EQ(text.text(), "xabcdef");
  EXPECT_THAT(text.runs(), ElementsAre(Part{1, kMessage}, Part{3, kTemplate},
                                       Part{6, kMessage}, Part{7, kTemplate}));
}

TEST(MarkedText, EverySubstringKeepsMarks) {
  const MarkedText text = Sample();
  for (size_t begin = 0; begin <= text.size(); ++begin) {
    for (size_t end = begin; end <= text.size(); ++end) {
      const MarkedText part = text.Substring(begin, end);
      EXPECT_EQ(part.text(), text.text().substr(begin, end - begin));
      for (size_t i = begin; i < end; ++i) {
        EXPECT_EQ(part.OriginAt(i - begin), text.OriginAt(i));
      }
    }
  }
}

}  // namespace
}  // namespace gemma::internal
