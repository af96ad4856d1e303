// Words: the elements of a sequence. A word is a token or a row of values.

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

namespace gemma::internal {
class WordView;
}

namespace gemma {

// Stands for a row in lists of tokens. It is not in any vocabulary: all
// functions that accept tokens refuse it.
inline constexpr TokenId kRowToken = -1;

// What given rows attend to.
enum class RowMask {
  kCausal,         // the same as tokens in their place
  kBidirectional,  // likewise, and all later rows of the same InputRows
};

// Identifies a row: rows with the same hash are the same row. It is the
// beginning of a SHA-256 (high: the first 8 bytes, big-endian; low: the next
// 8), the same on every machine, of the mask as a uint32, followed by
//   kCausal         the row's values
//   kBidirectional  the row's index as a uint32, then the SHA-256 of the values
//                   of all rows
// with numbers and float32 values in little-endian order.
struct RowHash {
  uint64_t high = 0;  // bytes 0 to 7
  uint64_t low = 0;   // bytes 8 to 15

  // Returns whether both identify the same row.
  bool operator==(const RowHash&) const = default;
};

// Rows that a model reads in place of embeddings, such as an image. Immutable
// and cheap to copy: copies share the memory.
class GEMMA_EXPORT InputRows {
 public:
  // values: [rows, model_dim], at least one row. Each row replaces a token's
  // embedding after scaling. In a table of per-layer embeddings, the row of
  // token 0, the padding, stands for it, as in transformers. Fails if the
  // number of values is not a multiple of model_dim, if a value is not finite,
  // or if memory for the hashes runs out.
  static absl::StatusOr<InputRows> Create(std::vector<float> values,
                                          size_t model_dim,
                                          RowMask mask = RowMask::kCausal);

  // Returns the number of rows.
  size_t size() const;
  // Returns the number of values in a row.
  size_t model_dim() const;
  // Returns what the rows attend to.
  RowMask mask() const;
  // Returns all values, [size(), model_dim()].
  absl::Span<const float> values() const;
  // Returns a hash for each row.
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
  TokenId token = kRowToken;  // kRowToken if the word is a row
  RowHash hash;               // of the row

  // Returns whether both are the same token or row.
  bool operator==(const Word&) const = default;
};

// A run of rows in a list of words.
struct PlacedRows {
  size_t begin = 0;  // position of the first row in the list
  size_t end = 0;    // position after the last row
  size_t first = 0;  // index in `rows` of the row at `begin`
  InputRows rows;    // contains these rows and perhaps others
};

// A list of words. It contains either all rows of a bidirectional InputRows or
// no row of it.
class GEMMA_EXPORT Words {
 public:
  Words() = default;
  // Tokens only.
  explicit Words(std::vector<TokenId> tokens) : tokens_(std::move(tokens)) {}

  // Adds tokens at the end.
  void Append(absl::Span<const TokenId> tokens) {
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  }
  // Adds rows at the end, one word for each.
  void Append(const InputRows& rows) { Append(rows, 0, rows.size()); }

  // Makes room for `size` words.
  void Reserve(size_t size) { tokens_.reserve(size); }
  // Keeps the first Whole(size) words.
  void Truncate(size_t size);

  // Returns the number of words.
  size_t size() const { return tokens_.size(); }
  // Returns whether the list has no words.
  bool empty() const { return tokens_.empty(); }
  // Returns the tokens [size()], with kRowToken in place of each row.
  absl::Span<const TokenId> tokens() const { return tokens_; }
  // Returns the rows, in order.
  absl::Span<const PlacedRows> rows() const { return rows_; }
  // Returns the word at `position`, which must be less than size().
  Word operator[](size_t position) const;

  // Returns the last position up to `size` where the list can be divided:
  // `size`, or, if this is inside bidirectional rows, the position of the first
  // of them.
  size_t Whole(size_t size) const;

  // Returns whether all words are equal.
  bool operator==(const Words& other) const;

 private:
  void Append(const InputRows& rows, size_t first, size_t count);
  // Returns whether row `first` of `rows` also follows the last word in them.
  bool Continues(const InputRows& rows, size_t first) const;

  std::vector<TokenId> tokens_;
  std::vector<PlacedRows> rows_;

  friend class internal::WordView;
};

// Returns the number of words that both lists have in common at the beginning.
GEMMA_EXPORT size_t CommonPrefix(const Words& a, const Words& b);

}  // namespace gemma

#endif  // GEMMA_WORDS_H_
