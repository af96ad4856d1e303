// Lines of files and pipes.

#include "tools/gemma/io/line_reader.h"

#include <sys/stat.h>

#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"
#include "tests/support/error_of.h"
#include "tests/support/tiny_files.h"

namespace gemma::tools {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

// The text of a file, and its lines.
struct FileCase {
  std::string text;
  std::vector<std::string> lines;
};

TEST(LineReader, ReadsAndCountsLines) {
  const std::string path = TestDirectory() + "/lines.txt";
  const std::string wide(200000, 'x');  // more than is read at once
  for (const FileCase& c : std::vector<FileCase>{
           {"", {}},
           {"\n", {""}},
           {"a", {"a"}},
           {"a\n", {"a"}},
           {"a\r\n\nb\r", {"a", "", "b\r"}},
           {wide + "\n" + wide, {wide, wide}},
           {std::string("a\0b\n", 4), {std::string("a\0b", 3)}},
       }) {
    std::ofstream(path, std::ios::binary) << c.text;
    auto reader = LineReader::Open(path);
    ASSERT_EQ(ErrorOf(reader), "OK");
    EXPECT_EQ(reader->Count(), c.lines.size());
    std::vector<std::string> lines;
    for (;;) {
      const auto ready = reader->Ready();
      ASSERT_EQ(ErrorOf(ready), "OK");
      const auto line = reader->Next();
      ASSERT_EQ(ErrorOf(line), "OK");
      EXPECT_EQ(*ready, line->has_value());
      if (!line->has_value()) break;
      lines.push_back(**line);
    }
    EXPECT_THAT(lines, ElementsAreArray(c.lines));
  }
}

TEST(LineReader, CountsOnlyRegularFiles) {
  auto reader = LineReader::Open("/dev/null");
  ASSERT_EQ(ErrorOf(reader), "OK");
  EXPECT_EQ(reader->Count(), std::nullopt);
  EXPECT_FALSE(*reader->Ready());
  EXPECT_EQ(*reader->Next(), std::nullopt);
}

TEST(LineReader, NamesMissingFile) {
  EXPECT_THAT(ErrorOf(LineReader::Open("/no/file")), HasSubstr("/no/file"));
}

TEST(LineReader, ReadyForWholeLines) {
  const std::string path = TestDirectory() + "/pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  // Open both ends, because opening one waits for the other.
  std::fstream writer(path, std::ios::in | std::ios::out | std::ios::binary);
  auto reader = LineReader::Open(path);
  ASSERT_EQ(ErrorOf(reader), "OK");
  EXPECT_EQ(reader->Count(), std::nullopt);
  EXPECT_FALSE(*reader->Ready());
  writer << "one";
  writer.flush();
  EXPECT_FALSE(*reader->Ready());
  writer << "\ntwo\nth";
  writer.flush();
  EXPECT_TRUE(*reader->Ready());
  EXPECT_EQ(**reader->Next(), "one");
  EXPECT_TRUE(*reader->Ready());
  EXPECT_EQ(**reader->Next(), "two");
  EXPECT_FALSE(*reader->Ready());
}

}  // namespace
}  // namespace gemma::tools
