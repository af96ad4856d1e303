#include "src/base/part_name.h"

#include <string_view>

#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

TEST(PartName, IsReadAndWritten) {
  const auto part = ParsePartName("d/m-00002-of-00012.gguf");
  ASSERT_TRUE(part.has_value());
  EXPECT_EQ(part->prefix, "d/m");
  EXPECT_EQ(part->number, 2u);
  EXPECT_EQ(part->count, 12u);
  EXPECT_EQ(part->Part(11), "d/m-00011-of-00012.gguf");
}

TEST(PartName, RefusesOtherNames) {
  for (const std::string_view name :
       {"m.gguf", "m-00000-of-00003.gguf", "m-00004-of-00003.gguf",
        "m-2-of-3.gguf", "m-0000a-of-00003.gguf", "-00001-of-00003.gguf",
        "m-00001-of-00003.bin", "m_00001-of-00003.gguf", ""}) {
    EXPECT_FALSE(ParsePartName(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace gemma::internal
