#include "tools/gemma/io/character_width.h"

#include <cstdint>

#include "src/base/internal.h"
#include "src/base/utf8.h"

namespace gemma::tools {
namespace {

// Windows has no table of its terminals. These are the blocks of Unicode whose
// characters differ in width from Latin letters, as far as they are common.
struct Block {
  uint32_t first, last;
  size_t width;
};
constexpr Block kBlocks[] = {
    {0x0300, 0x036F, 0},   {0x0483, 0x0489, 0},   {0x0591, 0x05BD, 0},
    {0x0610, 0x061A, 0},   {0x064B, 0x065F, 0},   {0x0900, 0x0902, 0},
    {0x0941, 0x0948, 0},   {0x094D, 0x094D, 0},   {0x0E31, 0x0E31, 0},
    {0x0E34, 0x0E3A, 0},   {0x0E47, 0x0E4E, 0},   {0x1100, 0x115F, 2},
    {0x1AB0, 0x1AFF, 0},   {0x1DC0, 0x1DFF, 0},   {0x200B, 0x200F, 0},
    {0x20D0, 0x20FF, 0},   {0x231A, 0x231B, 2},   {0x23E9, 0x23EC, 2},
    {0x2E80, 0x303E, 2},   {0x3041, 0x3098, 2},   {0x3099, 0x309A, 0},
    {0x309B, 0xA4CF, 2},   {0xA960, 0xA97F, 2},   {0xAC00, 0xD7A3, 2},
    {0xF900, 0xFAFF, 2},   {0xFE00, 0xFE0F, 0},   {0xFE20, 0xFE2F, 0},
    {0xFE30, 0xFE6F, 2},   {0xFF00, 0xFF60, 2},   {0xFFE0, 0xFFE6, 2},
    {0x1F300, 0x1F64F, 2}, {0x1F680, 0x1F6FF, 2}, {0x1F900, 0x1F9FF, 2},
    {0x1FA70, 0x1FAFF, 2}, {0x20000, 0x3FFFD, 2}, {0xE0100, 0xE01EF, 0}};

}  // namespace

size_t CharacterWidth(std::string_view character) {
  if (character.size() < 2) return 1;
  const auto code = static_cast<uint32_t>(CodePointOf(character));
  for (const Block& block : kBlocks) {
    if (block.first <= code && code <= block.last) return block.width;
  }
  return 1;
}

}  // namespace gemma::tools
