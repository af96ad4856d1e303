#include "tools/gemma/io/character_width.h"

#include <clocale>
#include <cwchar>

#include "src/base/internal.h"
#include "src/base/utf8.h"

namespace gemma::tools {

size_t CharacterWidth(std::string_view character) {
  if (character.size() < 2) return 1;
  // The system's table is that of its terminals. The process keeps its locale.
  static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (utf8 == nullptr) return 1;
  const locale_t old = uselocale(utf8);
  const int width = wcwidth(static_cast<wchar_t>(CodePointOf(character)));
  uselocale(old);
  return width < 0 ? 1 : static_cast<size_t>(width);
}

}  // namespace gemma::tools
