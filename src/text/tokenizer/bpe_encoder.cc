#include "src/text/tokenizer/bpe_encoder.h"

#include <algorithm>
#include <cstdint>
#include <queue>
#include <string>
#include <utility>

#include "src/base/hash_table.h"
#include "src/base/utf8.h"

namespace gemma::internal {
namespace {

constexpr int32_t kNone = -1;  // no symbol or no token

// Whether merging makes pieces of this type. User-defined pieces are cut out
// before.
bool IsMerged(PieceType type) {
  return type == PieceType::kNormal || type == PieceType::kUnused;
}

std::string Normalize(std::string_view text, bool add_space_prefix) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  if (add_space_prefix) out += kBlank;
  while (!text.empty()) {
    size_t size = Utf8PrefixLength(text);
    if (size == 0 || size < Utf8Length(text[0])) {
      out += kReplacementCharacter;
      size = 1;
    } else if (text[0] == ' ') {
      out += kBlank;
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  return out;
}

}  // namespace

// The symbols of one text as a doubly linked list, and the possible merges.
class BpeEncoder::Merger {
 public:
  Merger(const BpeEncoder& encoder, std::string_view text)
      : encoder_(encoder), text_(text) {
    Split();
    for (size_t i = 1; i < symbols_.size(); ++i) {
      Consider(static_cast<int32_t>(i - 1), static_cast<int32_t>(i));
    }
  }

  void MergeAll() {
    while (!merges_.empty()) {
      const Merge merge = merges_.top();
      merges_.pop();
      Symbol& left = symbols_[merge.left];
      Symbol& right = symbols_[merge.right];
      // One of the two symbols has already merged with another.
      if (left.size == 0 || right.size == 0) continue;
      if (left.size + right.size != merge.size) continue;

      left.size = merge.size;
      left.token = merge.token;
      left.next = right.next;
      right.size = 0;
      if (left.next != kNone) symbols_[left.next].previous = merge.left;
      Consider(left.previous, merge.left);
      Consider(merge.left, left.next);
    }
  }

  void AppendTokens(std::vector<TokenId>& tokens) {
    for (const Symbol& symbol : symbols_) {
      if (symbol.size == 0) continue;
      if (symbol.token != kNone &&
          encoder_.type(symbol.token) != PieceType::kUnused) {
        tokens.push_back(symbol.token);
      } else {
        AppendPiece(text_.substr(symbol.begin, symbol.size), tokens);
      }
    }
  }

 private:
  struct Symbol {
    uint32_t begin = 0;        // offset in the text
    uint32_t size = 0;         // bytes; 0 once it is merged into another
    int32_t previous = kNone;  // the symbol before it
    int32_t next = kNone;
    TokenId token = kNone;  // kNone: a character not looked up yet
    bool merges = true;     // false: user-defined
  };

  struct Merge {
    float score;
    int32_t left, right;  // symbols
    uint32_t size;        // bytes of both together
    TokenId token;        // the token of both together

    bool operator<(const Merge& other) const {  // orders by priority
      if (score != other.score) return score < other.score;
      return left > other.left;
    }
  };

  void Split() {
    for (size_t begin = 0; begin < text_.size();) {
      Symbol symbol;
      symbol.begin = static_cast<uint32_t>(begin);
      const PrefixMatcher::Entry* match =
          encoder_.user_defined_.Longest(text_.substr(begin));
      if (match != nullptr) {
        symbol.size = static_cast<uint32_t>(match->text.size());
        symbol.token = match->token;
        symbol.merges = false;
      } else {
        symbol.size = static_cast<uint32_t>(Utf8Length(text_[begin]));
      }
      begin += symbol.size;
      const auto id = static_cast<int32_t>(symbols_.size());
      symbol.previous = id - 1;
      if (begin < text_.size()) symbol.next = id + 1;
      symbols_.push_back(symbol);
    }
  }

  // Queues the merge of two neighbours if together they are a piece.
  void Consider(int32_t left_id, int32_t right_id) {
    if (left_id == kNone || right_id == kNone) return;
    const Symbol& left = symbols_[left_id];
    const Symbol& right = symbols_[right_id];
    if (!left.merges || !right.merges) return;
    const uint32_t size = left.size + right.size;
    if (size > encoder_.max_size_) return;
    const std::string_view text = text_.substr(left.begin, size);
    const std::optional<TokenId> token = encoder_.Find(text);
    if (!token.has_value()) return;
    const Vocabulary::Piece& piece = encoder_.vocabulary_->pieces[*token];
    merges_.push({piece.score, left_id, right_id, size, *token});
    if (piece.type == PieceType::kUnused) {
      parts_[*token] = {text.substr(0, left.size), text.substr(left.size)};
    }
  }

  void AppendPiece(std::string_view text, std::vector<TokenId>& tokens) {
    pending_.push_back(text);
    while (!pending_.empty()) {
      const std::string_view piece = pending_.back();
      pending_.pop_back();
      const std::optional<TokenId> token = encoder_.Find(piece);
      if (!token.has_value()) {
        for (char c : piece) {
          tokens.push_back(encoder_.bytes_[static_cast<uint8_t>(c)]);
        }
        continue;
      }
      const auto parts = parts_.find(*token);
      if (parts == parts_.end()) {
        tokens.push_back(*token);
        continue;
      }
      pending_.push_back(parts->second.second);
      pending_.push_back(parts->second.first);
    }
  }

  const BpeEncoder& encoder_;
  const std::string_view text_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Merge> merges_;
  // The two parts that each unused piece was merged from.
  HashMap<TokenId, std::pair<std::string_view, std::string_view>> parts_;
  std::vector<std::string_view> pending_;  // of AppendPiece: the next is last
};

BpeEncoder::BpeEncoder(const Vocabulary* vocabulary, const PieceIndex* index)
    : vocabulary_(vocabulary), index_(index) {
  HashSet<TokenId> added;
  if (vocabulary->rules.has_value()) {
    for (const AddedToken& token : vocabulary->rules->added) {
      added.insert(static_cast<TokenId>(token.id));
    }
  }
  std::vector<PrefixMatcher::Entry> user_defined;
  for (size_t i = 0; i < vocabulary->pieces.size(); ++i) {
    const Vocabulary::Piece& piece = vocabulary->pieces[i];
    const auto token = static_cast<TokenId>(i);
    if (IsMerged(piece.type)) {
      max_size_ = std::max(max_size_, piece.text.size());
    }
    if (piece.type == PieceType::kUserDefined && !added.contains(token)) {
      user_defined.push_back({piece.text, token});
    } else if (piece.type == PieceType::kByte) {
      bytes_[*ByteOfPiece(piece.text)] = token;
    }
  }
  user_defined_ = PrefixMatcher(std::move(user_defined));
}

std::optional<TokenId> BpeEncoder::Find(std::string_view text) const {
  const std::optional<TokenId> token = index_->Find(text);
  if (!token.has_value() || !IsMerged(type(*token))) return std::nullopt;
  return token;
}

void BpeEncoder::Encode(std::string_view text, bool add_space_prefix,
                        std::vector<TokenId>& tokens) const {
  if (text.empty()) return;
  EncodeNormalized(Normalize(text, add_space_prefix), tokens);
}

void BpeEncoder::EncodeNormalized(std::string_view text,
                                  std::vector<TokenId>& tokens) const {
  Merger merger(*this, text);
  merger.MergeAll();
  merger.AppendTokens(tokens);
}

}  // namespace gemma::internal
