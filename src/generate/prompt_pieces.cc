#include "src/generate/prompt_pieces.h"

#include <algorithm>
#include <iterator>

namespace gemma::internal {

PromptPieces::PromptPieces(const Words& prompt, bool scored, size_t few_rows,
                           size_t max_rows)
    : size_(prompt.size()),
      rows_(PromptRows(scored, max_rows)),
      stretches_{{0, rows_}},
      few_rows_(few_rows),
      matter_(few_rows < max_rows) {
  for (const PlacedRows& placed : prompt.rows()) {
    if (placed.rows.mask() != RowMask::kBidirectional) continue;
    AddUndivided({placed.begin, placed.end});
  }
}

// A pass that would divide the range ends before it. If the range has more rows
// than a pass may have, it is a pass of its own; see WordView::PassSize.
void PromptPieces::AddUndivided(const MutualRange& range) {
  undivided_.push_back(range);
  const Stretch& last = stretches_.back();
  const size_t begin = range.begin - (range.begin - last.begin) % last.rows;
  if (begin + last.rows >= range.end) return;
  stretches_.push_back({range.begin, rows_});
  if (range.begin + rows_ >= range.end) return;
  stretches_.back().rows = range.end - range.begin;
  stretches_.push_back({range.end, rows_});
}

std::vector<PromptPieces::Stretch>::const_iterator PromptPieces::StretchOf(
    size_t token) const {
  return std::prev(
      std::partition_point(stretches_.begin(), stretches_.end(),
                           [&](const Stretch& s) { return s.begin <= token; }));
}

size_t PromptPieces::Begin(size_t token) const {
  if (token >= size_) return token;
  const auto stretch = StretchOf(token);
  return token - (token - stretch->begin) % stretch->rows;
}

size_t PromptPieces::End(size_t token) const {
  if (token >= size_) return token + 1;
  const auto stretch = StretchOf(token);
  const auto next = std::next(stretch);
  return std::min(Begin(token) + stretch->rows,
                  next == stretches_.end() ? size_ : next->begin);
}

size_t PromptPieces::Whole(size_t position) const {
  const auto range =
      std::partition_point(undivided_.begin(), undivided_.end(),
                           [&](MutualRange r) { return r.end <= position; });
  return range == undivided_.end() ? position
                                   : std::min(position, range->begin);
}

bool PromptPieces::Many(size_t token) const {
  return End(token) - Begin(token) > few_rows_;
}

size_t PromptPieces::Resumable(size_t position) const {
  if (!matter() || !Many(position)) return Whole(position);
  return Whole(std::min(position, End(position) - few_rows_ - 1));
}

bool PromptPieces::MayCut(size_t begin, size_t end) const {
  if (!matter() || !Many(begin)) return Whole(end) == end;
  return end - begin > few_rows_ && Resumable(end) == end;
}

size_t PromptPieces::Shared(const PromptPieces& other, size_t common) const {
  if (!matter()) return Whole(common);
  size_t at = 0;
  while (at < common && Many(at) == other.Many(at)) {
    at = std::min({End(at), other.End(at), common});
  }
  return Resumable(at);
}

}  // namespace gemma::internal
