#include "src/base/format_text.h"

#include <string>

#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

TEST(FormatText, EqualsStrFormat) {
  EXPECT_EQ(FormatText("nothing"), "nothing");
  EXPECT_EQ(FormatText("%s has %d of %u, %.2f", "x", -3, 7u, 0.125),
            absl::StrFormat("%s has %d of %u, %.2f", "x", -3, 7u, 0.125));
}

TEST(FormatText, AnyLength) {
  for (const size_t size : {0, 253, 254, 255, 256, 257, 1000}) {
    const std::string text(size, 'a');
    EXPECT_EQ(FormatText("%s.", text), text + ".");
  }
}

}  // namespace
}  // namespace gemma::internal
