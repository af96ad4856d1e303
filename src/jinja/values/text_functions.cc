#include "src/jinja/values/text_functions.h"

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "src/base/status_macros.h"
#include "src/jinja/values/characters.h"

namespace gemma::internal {
namespace {

uint32_t CodePointAt(std::string_view text, size_t begin, size_t end) {
  return CodePoint(text.substr(begin, end - begin));
}

// Whether the filter `title` begins a new word after this character.
bool EndsTitleWord(uint32_t c) {
  return IsSpace(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
}

// Splits at white space, from the left.
absl::StatusOr<std::vector<MarkedText>> SplitAtSpace(const MarkedText& text,
                                                     int64_t count,
                                                     Meter& meter) {
  const std::string_view all = text.text();
  std::vector<MarkedText> parts;
  size_t at = 0;
  while (true) {
    size_t end = at;
    while (at < all.size() &&
           IsSpace(CodePointAt(all, at, end = CharacterEnd(all, at)))) {
      at = end;
    }
    if (at == all.size()) return parts;
    GEMMA_RETURN_IF_ERROR(meter.AllocateValues(2));
    if (count == 0) {
      parts.push_back(text.Substring(at, all.size()));
      return parts;
    }
    --count;
    const size_t begin = at;
    while (at < all.size() &&
           !IsSpace(CodePointAt(all, at, end = CharacterEnd(all, at)))) {
      at = end;
    }
    parts.push_back(text.Substring(begin, at));
  }
}

}  // namespace

absl::StatusOr<MarkedText> Strip(const MarkedText& text,
                                 std::optional<std::string_view> characters,
                                 Side side, Meter& meter) {
  const std::string_view all = text.text();
  const auto is_stripped = [&](size_t begin, size_t end) {
    const std::string_view character = all.substr(begin, end - begin);
    return characters.has_value() ? absl::StrContains(*characters, character)
                                  : IsSpace(CodePoint(character));
  };
  // Each character is looked up in `characters`.
  GEMMA_RETURN_IF_ERROR(
      meter.SpendSearch(all.size(), characters.value_or("").size()));
  size_t begin = 0, end = all.size();
  while (side != Side::kRight && begin < end) {
    const size_t next = CharacterEnd(all, begin);
    if (!is_stripped(begin, next)) break;
    begin = next;
  }
  while (side != Side::kLeft && begin < end) {
    const size_t previous = CharacterBegin(all, end);
    if (!is_stripped(previous, end)) break;
    end = previous;
  }
  return text.Substring(begin, end);
}

absl::StatusOr<MarkedText> ChangeCase(const MarkedText& text, CaseChange change,
                                      Meter& meter) {
  GEMMA_RETURN_IF_ERROR(meter.Allocate(2 * text.size()));
  const std::string_view all = text.text();
  MarkedText result;
  size_t at = 0;
  bool upper = change != CaseChange::kLower;
  for (const MarkedText::Run& run : text.runs()) {
    std::string changed;
    while (at < run.end) {
      const size_t end = CharacterEnd(all, at);
      const uint32_t c = CodePointAt(all, at, end);
      const bool is_utf8 = c < 0xDC80 || c > 0xDCFF;
      if (!is_utf8) {
        changed.append(all.substr(at, end - at));
      } else if (upper && c == 0xDF && change != CaseChange::kUpper &&
                 change != CaseChange::kTitleFilter) {
        changed += "Ss";
      } else {
        GEMMA_RETURN_IF_ERROR(upper ? AppendUpper(c, changed)
                                    : AppendLower(c, changed));
      }
      if (change == CaseChange::kCapitalize) upper = false;
      if (change == CaseChange::kTitleFilter) upper = EndsTitleWord(c);
      if (change == CaseChange::kTitle) {
        // AppendUpper or AppendLower would have refused an unknown letter.
        upper = CaseOf(c).value_or(LetterCase::kNone) == LetterCase::kNone;
      }
      at = end;
    }
    result.Append(changed, run.origin);
  }
  return result;
}

absl::StatusOr<MarkedText> Replace(const MarkedText& text, std::string_view old,
                                   const MarkedText& replacement, int64_t count,
                                   Meter& meter) {
  const std::string_view all = text.text();
  GEMMA_RETURN_IF_ERROR(meter.Allocate(all.size()));
  GEMMA_RETURN_IF_ERROR(meter.SpendSearch(all.size(), old.size()));
  const size_t cost = replacement.size() + 16 * replacement.runs().size() + 1;
  MarkedText result;
  size_t at = 0;  // the text before is in the result
  // An empty `old` is found before each character and at the end.
  for (size_t from = 0; count != 0 && from <= all.size(); --count) {
    const size_t found = all.find(old, from);
    if (found == std::string_view::npos) break;
    GEMMA_RETURN_IF_ERROR(meter.Allocate(cost));
    result.Append(text, at, found);
    result.Append(replacement);
    at = found + old.size();
    if (!old.empty()) {
      from = at;
    } else {
      from = found == all.size() ? found + 1 : CharacterEnd(all, found);
    }
  }
  result.Append(text, at, all.size());
  return result;
}

absl::StatusOr<std::vector<MarkedText>> Split(
    const MarkedText& text, std::optional<std::string_view> separator,
    int64_t count, Side side, Meter& meter) {
  const std::string_view all = text.text();
  GEMMA_RETURN_IF_ERROR(meter.Allocate(all.size()));
  if (!separator.has_value()) {
    if (side == Side::kRight && count >= 0) {
      return absl::UnimplementedError(
          "rsplit() at white space with a limit is not supported");
    }
    return SplitAtSpace(text, count, meter);
  }
  if (separator->empty()) {
    return absl::InvalidArgumentError("split() has an empty separator");
  }
  GEMMA_RETURN_IF_ERROR(meter.SpendSearch(all.size(), separator->size()));
  std::vector<MarkedText> parts;
  if (side == Side::kRight) {
    size_t end = all.size();
    for (; count != 0 && end >= separator->size(); --count) {
      const size_t found = all.rfind(*separator, end - separator->size());
      if (found == std::string_view::npos) break;
      GEMMA_RETURN_IF_ERROR(meter.AllocateValues(2));
      parts.push_back(text.Substring(found + separator->size(), end));
      end = found;
    }
    parts.push_back(text.Substring(0, end));
    std::reverse(parts.begin(), parts.end());
    return parts;
  }
  size_t begin = 0;
  for (; count != 0; --count) {
    const size_t found = all.find(*separator, begin);
    if (found == std::string_view::npos) break;
    GEMMA_RETURN_IF_ERROR(meter.AllocateValues(2));
    parts.push_back(text.Substring(begin, found));
    begin = found + separator->size();
  }
  parts.push_back(text.Substring(begin, all.size()));
  return parts;
}

absl::StatusOr<std::vector<MarkedText>> SplitLines(const MarkedText& text,
                                                   bool keep_ends,
                                                   Meter& meter) {
  const std::string_view all = text.text();
  GEMMA_RETURN_IF_ERROR(meter.Allocate(all.size()));
  std::vector<MarkedText> lines;
  size_t begin = 0;
  for (size_t at = 0; at < all.size();) {
    size_t end = CharacterEnd(all, at);
    const uint32_t c = CodePointAt(all, at, end);
    const bool is_end = (c >= '\n' && c <= '\r') || (c >= 0x1C && c <= 0x1E) ||
                        c == 0x85 || c == 0x2028 || c == 0x2029;
    if (c == '\r' && end < all.size() && all[end] == '\n') ++end;
    if (is_end) {
      GEMMA_RETURN_IF_ERROR(meter.AllocateValues(2));
      lines.push_back(text.Substring(begin, keep_ends ? end : at));
      begin = end;
    }
    at = end;
  }
  if (begin < all.size()) lines.push_back(text.Substring(begin, all.size()));
  return lines;
}

absl::StatusOr<bool> IsAllOfCase(std::string_view text, LetterCase wanted,
                                 Meter& meter) {
  GEMMA_RETURN_IF_ERROR(meter.Spend(text.size() / 16));
  bool any = false;
  for (size_t at = 0; at < text.size();) {
    const size_t end = CharacterEnd(text, at);
    const std::optional<LetterCase> found =
        CaseOf(CodePoint(text.substr(at, end - at)));
    if (!found.has_value()) {
      return absl::UnimplementedError(
          "the case of letters of rare scripts is not known here");
    }
    if (*found != LetterCase::kNone) {
      if (*found != wanted) return false;
      any = true;
    }
    at = end;
  }
  return any;
}

MarkedText Escaped(const MarkedText& text) {
  MarkedText escaped;
  size_t at = 0;
  for (const MarkedText::Run& run : text.runs()) {
    std::string part;
    for (; at < run.end; ++at) {
      switch (text.text()[at]) {
        case '&':
          part += "&amp;";
          break;
        case '<':
          part += "&lt;";
          break;
        case '>':
          part += "&gt;";
          break;
        case '\'':
          part += "&#39;";
          break;
        case '"':
          part += "&#34;";
          break;
        default:
          part.push_back(text.text()[at]);
      }
    }
    escaped.Append(part, run.origin);
  }
  return escaped;
}

}  // namespace gemma::internal
