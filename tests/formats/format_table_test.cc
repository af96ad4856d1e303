// The table of types in src/formats/README.md.

#include <cctype>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "compression/pack.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/formats/gguf_types.h"
#include "src/formats/safetensors.h"
#include "src/formats/sbs.h"

namespace gemma::internal {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

// A row of the table, without the name of the type.
struct Row {
  std::string gguf, safetensors, sbs, bits;
};
using Table = std::map<std::string, Row>;

Table ReadTable() {
  std::ifstream file(GEMMA_TESTDATA_DIR "/../../src/formats/README.md");
  Table table;
  std::string line;
  while (std::getline(file, line) && line != "## Types of tensors") continue;
  while (std::getline(file, line) && !line.starts_with("## ")) {
    if (!line.starts_with("| ")) continue;
    std::vector<std::string> cells;
    for (std::string_view cell : absl::StrSplit(line, '|')) {
      cells.emplace_back(absl::StripAsciiWhitespace(cell));
    }
    if (cells.size() != 7 || cells[1] == "Type") continue;
    table[cells[1]] = {cells[2], cells[3], cells[4], cells[5]};
  }
  return table;
}

std::string Upper(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return out;
}

// Expects that the cells of one container say "runs" for `read`, "refused" for
// `unread` and a dash for all other types.
template <class Names>
void ExpectCells(const Table& table, std::string Row::*cell, const Names& read,
                 const Names& unread) {
  std::map<std::string, std::string> expected;
  for (const auto& [name, row] : table) expected[name] = "\u2013";
  for (const auto& name : read) expected[Upper(name)] = "runs";
  for (const auto& name : unread) expected[Upper(name)] = "refused";
  std::map<std::string, std::string> found;
  for (const auto& [name, row] : table) found[name] = row.*cell;
  EXPECT_EQ(found, expected);
}

template <class Types>
std::vector<std::string_view> NamesOf(const Types& types) {
  std::vector<std::string_view> names;
  for (const NamedGgufType& type : types) names.push_back(type.name);
  return names;
}

TEST(FormatTable, ListsTypesOfGguf) {
  const Table table = ReadTable();
  ASSERT_THAT(table, SizeIs(58));
  ExpectCells(table, &Row::gguf, NamesOf(ReadGgufTypes()),
              NamesOf(UnreadGgufTypes()));
}

TEST(FormatTable, ListsTypesOfSafetensors) {
  ExpectCells(ReadTable(), &Row::safetensors, ReadSafetensorsTypes(),
              UnreadSafetensorsTypes());
}

TEST(FormatTable, ListsTypesOfSbs) {
  ExpectCells(ReadTable(), &Row::sbs, ReadSbsTypes(), UnreadSbsTypes());
}

TEST(FormatTable, GivesBitsInMemory) {
  std::map<std::string, std::string> bits;
#define GEMMA_BITS_OF(name, codec, text, ...)                               \
  bits[text] = absl::StrCat(                                                \
      8.0 * static_cast<double>(PackedBytes(Format::name, 16, 1024)) / 16 / \
      1024);
  GEMMA_FORMATS(GEMMA_BITS_OF)
#undef GEMMA_BITS_OF
  for (const auto& [name, row] : ReadTable()) {
    if (row.gguf == "runs" || row.safetensors == "runs" || row.sbs == "runs") {
      EXPECT_EQ(row.bits, bits[name]) << name;
    } else {
      EXPECT_THAT(row.bits, IsEmpty()) << name;
    }
  }
}

}  // namespace
}  // namespace gemma::internal
