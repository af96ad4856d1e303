#include "src/text/tokenizer/token_trie.h"

#include <algorithm>

#include "absl/strings/str_replace.h"

namespace gemma::internal {
namespace {

std::string BytesOf(const Vocabulary::Piece& piece) {
  switch (piece.type) {
    case PieceType::kByte:
      return std::string(1, static_cast<char>(*ByteOfPiece(piece.text)));
    case PieceType::kControl:
    case PieceType::kUnknown:
      return "";
    case PieceType::kNormal:
    case PieceType::kUserDefined:
    case PieceType::kUnused:
      return absl::StrReplaceAll(piece.text, {{kBlank, " "}});
  }
  return "";
}

// A token and its first bytes, which decide the order in most cases.
struct Key {
  uint64_t beginning;
  TokenId token;
};

uint64_t Beginning(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(value); ++i) {
    value =
        value << 8 | (i < bytes.size() ? static_cast<uint8_t>(bytes[i]) : 0);
  }
  return value;
}

size_t CommonSize(std::string_view a, std::string_view b) {
  const auto [end, unused] =
      std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<size_t>(end - a.begin());
}

}  // namespace

TokenTrie::TokenTrie(absl::Span<const Vocabulary::Piece> pieces) {
  std::vector<Key> keys;
  begins_.push_back(0);
  for (const Vocabulary::Piece& piece : pieces) {
    const std::string bytes = BytesOf(piece);
    const auto token = static_cast<TokenId>(begins_.size() - 1);
    if (!bytes.empty()) keys.push_back({Beginning(bytes), token});
    bytes_ += bytes;
    begins_.push_back(static_cast<uint32_t>(bytes_.size()));
  }
  std::sort(keys.begin(), keys.end(), [&](const Key& a, const Key& b) {
    if (a.beginning != b.beginning) return a.beginning < b.beginning;
    const int order = bytes(a.token).compare(bytes(b.token));
    return order != 0 ? order < 0 : a.token < b.token;
  });

  std::vector<size_t> path;  // nodes to the last token added
  std::string_view last;
  const auto close = [&](size_t depth) {
    for (; path.size() > depth; path.pop_back()) {
      nodes_[path.back()].next = static_cast<uint32_t>(nodes_.size());
    }
  };
  for (const Key& key : keys) {
    const std::string_view text = bytes(key.token);
    close(CommonSize(last, text));
    for (const char c : text.substr(path.size())) {
      path.push_back(nodes_.size());
      nodes_.push_back(
          {0, static_cast<uint32_t>(tokens_.size()), static_cast<uint8_t>(c)});
    }
    tokens_.push_back(key.token);
    last = text;
  }
  close(0);
  nodes_.push_back({0, static_cast<uint32_t>(tokens_.size()), 0});
}

}  // namespace gemma::internal
