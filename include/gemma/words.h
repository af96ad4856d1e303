// What a session appends: words, each a token or a row given as a vector.

#ifndef GEMMA_WORDS_H_
#define GEMMA_WORDS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/export.h"
#include "gemma/model_config.h"

namespace gemma {

// Stands for a row in lists of tokens. No vocabulary has it: every function
// that takes tokens refuses it.
inline constexpr TokenId kRowToken = -1;

// What given rows see in attention.
enum class RowMask {
  kCausal,         // what tokens in their place would see
  kBidirectional,  // that, and all later rows of the same InputRows
};

// What a row is known by: two rows of one hash are the same row. It is the
// beginning of a SHA-256 (high: the first 8 bytes, big-endian; low: the next
// 8), the same on every machine, of: the mask as a uint32, then of
//   kCausal         the row's values
//   kBidirectional  the row's index as a uint32, then the SHA-256 of the values
//                   of all rows
// with numbers and float32 values in little-endian order.
struct RowHash {
  uint64_t high = 0;  // bytes 0 to 7
  uint64_t low = 0;   // bytes 8 to 15

  // Whether they are of the same row.
  bool operator==(const RowHash&) const = default;
};

// Rows that a model reads in place of embeddings, such as an image. Immutable;
// copies share the memory.
class GEMMA_EXPORT InputRows {
 public:
  // values: [rows, model_dim], at least one row. Each row takes the place of a
  // token's embedding after scaling. Fails if the size is no multiple of
  // model_dim, if a value is not finite, or if there is no memory for hashes.
  static absl::StatusOr<InputRows> Create(std::vector<float> values,
                                          size_t model_dim,
                                          RowMask mask = RowMask::kCausal);

  // How many rows there are.
  size_t size() const;
  // Values of a row.
  size_t model_dim() const;
  // What they see of each other.
  RowMask mask() const;
  // All of them, [size(), model_dim()].
  absl::Span<const float> values() const;
  // A hash for each row.
  absl::Span<const RowHash> hashes() const;

 private:
  struct Data;
  explicit InputRows(std::shared_ptr<const Data> data)
      : data_(std::move(data)) {}

  std::shared_ptr<const Data> data_;

  friend class Words;
};

// One position of a sequence.
struct Word {
  TokenId token = kRowToken;  // kRowToken: a row
  RowHash hash;               // of the row

  // Whether they are the same token or row.
  bool operator==(const Word&) const = default;
};

// Rows in a list of words.
struct PlacedRows {
  size_t begin = 0;  // the first one's position in the list
  size_t end = 0;    // the position after the last one's
  size_t first = 0;  // index in `rows` of the row at `begin`
  InputRows rows;    // holds them and perhaps others
};

// A list of words. Where rows are bidirectional, it has all of an InputRows.
class GEMMA_EXPORT Words {
 public:
  Words() = default;
  // Tokens only.
  explicit Words(std::vector<TokenId> tokens) : tokens_(std::move(tokens)) {}

  // Adds tokens at the end.
  void Append(absl::Span<const TokenId> tokens) {
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  }
  // Adds rows at the end, a word each.
  void Append(const InputRows& rows) { Append(rows, 0, rows.size()); }

  // Makes room for `size` words.
  void Reserve(size_t size) { tokens_.reserve(size); }
  // Keeps the first Whole(size) words.
  void Truncate(size_t size);

  // How many words there are.
  size_t size() const { return tokens_.size(); }
  // Whether the list has no words.
  bool empty() const { return tokens_.empty(); }
  // The tokens [size()], and kRowToken where a row is.
  absl::Span<const TokenId> tokens() const { return tokens_; }
  // The rows, in order.
  absl::Span<const PlacedRows> rows() const { return rows_; }
  // The word at a position less than size().
  Word operator[](size_t position) const;

  // `size`, or, if the first `size` words end within bidirectional rows, the
  // position of the first of these: where the list can be divided.
  size_t Whole(size_t size) const;

  // Whether all words are equal.
  bool operator==(const Words& other) const;

 private:
  void Append(const InputRows& rows, size_t first, size_t count);

  std::vector<TokenId> tokens_;
  std::vector<PlacedRows> rows_;

  friend class WordView;
};

// How many words two lists begin with in common.
GEMMA_EXPORT size_t CommonPrefix(const Words& a, const Words& b);

}  // namespace gemma

#endif  // GEMMA_WORDS_H_
