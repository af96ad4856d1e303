// A vocabulary of 262,144 pieces takes half a second to parse as JSON. Beside a
// tokenizer.model it only needs to be compared, which is ten times as fast.

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "src/text/tokenizer/tokenizer_json.h"

namespace gemma::internal {
namespace {

constexpr std::string_view kSpace = " \t\n\r";

size_t SkipSpace(std::string_view text, size_t at) {
  return std::min(text.find_first_not_of(kSpace, at), text.size());
}

// Returns the index after the string that begins at `at`, or the end.
size_t EndOfString(std::string_view text, size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      return at + 1;
    }
  }
  return text.size();
}

// Returns the index after the value that begins at `at`, or the end.
size_t EndOfValue(std::string_view text, size_t at) {
  if (at >= text.size()) return text.size();
  if (text[at] == '"') return EndOfString(text, at);
  if (text[at] != '{' && text[at] != '[') {
    return std::min(text.find_first_of(",]} \t\n\r", at), text.size());
  }
  size_t depth = 0;
  while (at < text.size()) {
    switch (text[at]) {
      case '"':
        at = EndOfString(text, at);
        continue;
      case '{':
      case '[':
        ++depth;
        break;
      case '}':
      case ']':
        if (--depth == 0) return at + 1;
        break;
    }
    ++at;
  }
  return text.size();
}

// Calls member(key, begin, end) for each member of the object that begins at
// `at`, where the key has its quotes and the value is text[begin, end). Stops
// at the first fault.
template <class Member>
void ForEachMember(std::string_view text, size_t at, Member member) {
  if (at >= text.size() || text[at] != '{') return;
  at = SkipSpace(text, at + 1);
  while (at < text.size() && text[at] == '"') {
    const size_t end_of_key = EndOfString(text, at);
    const std::string_view key = text.substr(at, end_of_key - at);
    const size_t colon = SkipSpace(text, end_of_key);
    if (colon == text.size() || text[colon] != ':') return;
    const size_t begin = SkipSpace(text, colon + 1);
    const size_t end = EndOfValue(text, begin);
    member(key, begin, end);
    at = SkipSpace(text, end);
    if (at == text.size() || text[at] != ',') return;
    at = SkipSpace(text, at + 1);
  }
}

void AppendUtf8(uint32_t c, std::string& out) {
  const auto add = [&out](uint32_t byte) {
    out.push_back(static_cast<char>(byte));
  };
  if (c < 0x80) return add(c);
  if (c < 0x800) {
    add(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      add(0xE0 | c >> 12);
    } else {
      add(0xF0 | c >> 18);
      add(0x80 | (c >> 12 & 0x3F));
    }
    add(0x80 | (c >> 6 & 0x3F));
  }
  add(0x80 | (c & 0x3F));
}

// Reads the four digits at the start of `text` and removes them.
std::optional<uint32_t> TakeHex(std::string_view& text) {
  uint32_t value = 0;
  if (text.size() < 4) return std::nullopt;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + 4, value, 16);
  if (error != std::errc() || end != text.data() + 4) return std::nullopt;
  text.remove_prefix(4);
  return value;
}

// Reads an escape after its backslash and removes it.
bool TakeEscape(std::string_view& text, std::string& out) {
  constexpr std::string_view kNames = "\"\\/bfnrt";
  constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
  if (text.empty()) return false;
  const char name = text[0];
  text.remove_prefix(1);
  if (const size_t i = kNames.find(name); i != std::string_view::npos) {
    out.push_back(kValues[i]);
    return true;
  }
  if (name != 'u') return false;
  std::optional<uint32_t> c = TakeHex(text);
  if (!c.has_value()) return false;
  if (*c >= 0xD800 && *c < 0xDC00 && text.substr(0, 2) == "\\u") {
    text.remove_prefix(2);
    const std::optional<uint32_t> low = TakeHex(text);
    if (!low.has_value() || *low < 0xDC00 || *low > 0xDFFF) return false;
    c = 0x10000 + ((*c - 0xD800) << 10) + (*low - 0xDC00);
  }
  if (*c >= 0xD800 && *c < 0xE000) return false;
  AppendUtf8(*c, out);
  return true;
}

// Reads a string with its quotes. `buffer` holds the text if it has escapes.
std::optional<std::string_view> Unquoted(std::string_view quoted,
                                         std::string& buffer) {
  if (quoted.size() < 2 || quoted.back() != '"') return std::nullopt;
  std::string_view text = quoted.substr(1, quoted.size() - 2);
  if (text.find('\\') == std::string_view::npos) return text;
  buffer.clear();
  while (!text.empty()) {
    const size_t plain = std::min(text.find('\\'), text.size());
    buffer += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    text.remove_prefix(1);
    if (!TakeEscape(text, buffer)) return std::nullopt;
  }
  return buffer;
}

}  // namespace

TokenizerJsonParts TakeApart(std::string_view tokenizer_json) {
  TokenizerJsonParts parts;
  size_t done = 0;  // bytes that are in `rest` or in a view
  const auto cut = [&](size_t begin, size_t end, std::string_view with,
                       std::string_view& out) {
    out = tokenizer_json.substr(begin, end - begin);
    parts.rest += tokenizer_json.substr(done, begin - done);
    parts.rest += with;
    done = end;
  };
  const size_t object = SkipSpace(tokenizer_json, 0);
  ForEachMember(
      tokenizer_json, object, [&](std::string_view key, size_t begin, size_t) {
        if (key != "\"model\"") return;
        ForEachMember(tokenizer_json, begin,
                      [&](std::string_view name, size_t from, size_t to) {
                        if (name == "\"vocab\"") {
                          cut(from, to, "{}", parts.vocab);
                        } else if (name == "\"merges\"") {
                          cut(from, to, "[]", parts.merges);
                        }
                      });
      });
  parts.rest += tokenizer_json.substr(done);
  return parts;
}

bool HasSamePieces(std::string_view vocab, const std::vector<AddedToken>& added,
                   const Vocabulary& vocabulary) {
  const std::vector<Vocabulary::Piece>& pieces = vocabulary.pieces;
  std::vector<bool> known(pieces.size());
  for (const AddedToken& token : added) {
    if (token.id < 0) return false;
    const auto id = static_cast<size_t>(token.id);
    if (id >= known.size()) {
      if (id >= kMaxPieces) return false;
      known.resize(id + 1);
    }
    known[id] = true;
  }
  bool same = true;
  std::string buffer;
  ForEachMember(vocab, 0, [&](std::string_view key, size_t from, size_t to) {
    if (!same) return;
    size_t id = 0;
    const auto [end, error] =
        std::from_chars(vocab.data() + from, vocab.data() + to, id);
    const std::optional<std::string_view> text = Unquoted(key, buffer);
    if (error != std::errc() || end != vocab.data() + to || !text.has_value() ||
        id >= known.size()) {
      same = false;
      return;
    }
    if (known[id]) return;
    known[id] = true;
    // Hugging Face's converter calls this byte by its character.
    const std::string_view piece = pieces[id].text;
    same = *text == piece || (*text == "\t" && piece == "<0x09>");
  });
  // The converter leaves that byte out if the vocabulary has a tab.
  for (size_t id = 0; id < pieces.size() && same; ++id) {
    same = known[id] || pieces[id].text == "<0x09>";
  }
  return same;
}

}  // namespace gemma::internal
