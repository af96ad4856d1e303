#include "src/forward/word_view.h"

#include <algorithm>

#include "src/base/format_text.h"
#include "src/base/sizes.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

// Checks rows that begin at word `begin` of `what`.
absl::Status CheckRows(const InputRows& rows, size_t model_dim, size_t max_rows,
                       std::string_view what, size_t begin) {
  if (rows.model_dim() != model_dim) {
    return absl::InvalidArgumentError(FormatText(
        "word %u of %s is a row of %u values, wanted model_dim, which is %u",
        begin, what, rows.model_dim(), model_dim));
  }
  if (rows.mask() == RowMask::kBidirectional && rows.size() > max_rows) {
    return absl::InvalidArgumentError(FormatText(
        "word %u of %s begins %u bidirectional rows, wanted at most %u "
        "(LoadOptions::prefill_chunk)",
        begin, what, rows.size(), max_rows));
  }
  return absl::OkStatus();
}

}  // namespace

WordView WordView::First(size_t count) const {
  WordView view = *this;
  view.tokens_ = tokens_.first(count);
  while (!view.rows_.empty() && view.rows_.back().begin >= begin_ + count) {
    view.rows_.remove_suffix(1);
  }
  return view;
}

WordView WordView::From(size_t begin) const {
  WordView view = *this;
  view.tokens_ = tokens_.subspan(begin);
  view.begin_ += begin;
  while (!view.rows_.empty() && view.rows_.front().end <= view.begin_) {
    view.rows_.remove_prefix(1);
  }
  return view;
}

void WordView::ForEachRun(absl::FunctionRef<void(const Run&)> use) const {
  for (const PlacedRows& placed : rows_) {
    const size_t begin = std::max(placed.begin, begin_);
    const size_t end = std::min(placed.end, begin_ + size());
    use({begin - begin_, end - begin, placed.first + (begin - placed.begin),
         placed.rows});
  }
}

size_t WordView::Whole(size_t size) const {
  size_t whole = size;
  ForEachRun([&](const Run& run) {
    if (run.bidirectional() && run.begin < size &&
        size < run.begin + run.count) {
      whole = run.begin;
    }
  });
  return whole;
}

size_t WordView::PassSize(size_t wanted, size_t max_rows) const {
  if (wanted >= size()) return size();
  if (const size_t whole = Whole(wanted); whole != 0) return whole;
  // The bidirectional rows come first.
  size_t count = 0;
  ForEachRun([&](const Run& run) {
    if (run.begin == 0 && run.count <= max_rows) count = run.count;
  });
  return count;
}

void WordView::ReserveIn(Words& words) const {
  // Count exactly: memory for all words must be enough for those of each pass.
  size_t num_rows = words.rows_.size();
  ForEachRun([&](const Run& run) {
    const bool continues =
        run.begin == 0 && words.Continues(run.rows, run.first);
    if (!continues) ++num_rows;
  });
  GrowTo(words.tokens_.size() + size(), words.tokens_);
  GrowTo(num_rows, words.rows_);
}

void WordView::AppendTo(Words& words) const {
  size_t done = 0;
  ForEachRun([&](const Run& run) {
    words.Append(tokens_.subspan(done, run.begin - done));
    words.Append(run.rows, run.first, run.count);
    done = run.begin + run.count;
  });
  words.Append(tokens_.subspan(done));
}

absl::Status CheckWords(const WordView& words, const ModelConfig& config,
                        size_t max_rows, std::string_view what) {
  size_t done = 0;
  absl::Status status;
  words.ForEachRun([&](const WordView::Run& run) {
    status.Update(CheckTokens(words.tokens().subspan(done, run.begin - done),
                              config, what, /*first=*/done));
    status.Update(
        CheckRows(run.rows, config.model_dim, max_rows, what, run.begin));
    done = run.begin + run.count;
  });
  GEMMA_RETURN_IF_ERROR(status);
  return CheckTokens(words.tokens().subspan(done), config, what,
                     /*first=*/done);
}

}  // namespace gemma::internal
