#include "src/engine/prompt_pieces.h"

#include <algorithm>

namespace gemma {

PromptPieces::PromptPieces(size_t prompt_size, bool scored, size_t few_rows,
                           size_t max_rows)
    : size_(prompt_size),
      rows_(PromptRows(scored, max_rows)),
      few_rows_(few_rows),
      matter_(few_rows < max_rows) {}

size_t PromptPieces::Begin(size_t token) const {
  return token < size_ ? token - token % rows_ : token;
}

size_t PromptPieces::End(size_t token) const {
  if (token >= size_) return token + 1;
  return std::min(Begin(token) + rows_, size_);
}

bool PromptPieces::Many(size_t token) const {
  return End(token) - Begin(token) > few_rows_;
}

size_t PromptPieces::Resumable(size_t position) const {
  if (!matter() || !Many(position)) return position;
  return std::min(position, End(position) - few_rows_ - 1);
}

bool PromptPieces::MayCut(size_t begin, size_t end) const {
  if (!matter() || !Many(begin)) return true;
  return end - begin > few_rows_ && Resumable(end) == end;
}

size_t PromptPieces::Shared(const PromptPieces& other, size_t common) const {
  if (!matter()) return common;
  size_t at = 0;
  while (at < common && Many(at) == other.Many(at)) {
    at = std::min({End(at), other.End(at), common});
  }
  return Resumable(at);
}

}  // namespace gemma
