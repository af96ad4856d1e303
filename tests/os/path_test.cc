#include "src/os/path.h"

#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace gemma::internal {
namespace {

TEST(IsPlainName, AcceptsDirectoryEntries) {
  for (const std::string_view name :
       {"model.gguf", "...", ".hidden", "a b", "2_Dense", "d\u00e9j\u00e0"}) {
    EXPECT_TRUE(IsPlainName(name)) << name;
  }
}

TEST(IsPlainName, RefusesPaths) {
  for (const std::string_view name : {"", ".", "..", "/", "/etc", "a/", "a/b",
                                      "../a", "..\\a", "a\\b", "\\"}) {
    EXPECT_FALSE(IsPlainName(name)) << name;
  }
}

TEST(IsPlainName, RefusesUnprintableNames) {
  for (const std::string& name :
       {std::string("a\n"), std::string("\x1b[2J"), std::string("\u009B"),
        std::string("\xff"), std::string("a\0b", 3)}) {
    EXPECT_FALSE(IsPlainName(name)) << name;
  }
}

}  // namespace
}  // namespace gemma::internal
