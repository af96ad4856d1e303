// The logits of the rows that want some.

#include <algorithm>
#include <limits>
#include <vector>

#include "ops/ops.h"
#include "src/base/sizes.h"
#include "src/forward/segment.h"
#include "src/forward/transformer.h"

namespace gemma::internal {
namespace {

// Finding more than this many of the largest logits is hardly faster than
// computing all.
constexpr size_t kMaxTopK = 128;

}  // namespace

// Writes the normalized rows whose logits are wanted to the first rows of
// `normed`, and returns their number.
size_t Transformer::HeadInputs(std::span<const Segment> segments) {
  size_t row = 0;
  size_t wanted = 0;
  for (const Segment& segment : segments) {
    const size_t size = segment.words.size();
    const size_t count = NumLogits(segment);
    const MatrixView<float> out = scratch_.normed.Rows(wanted, count);
    const size_t first = row + size - count;
    if (HasTap(segment)) {
      // The tap sees the other rows, too.
      const MatrixView<float> all = scratch_.normed.Rows(row, size);
      NormRows(scratch_.x.Rows(row, size), weights_.final_norm, all);
      Tap(TapPoint::kHeadInput, config_.num_layers(), {&segment, 1}, all);
      if (first != wanted) {
        std::copy_n(scratch_.normed.Row(first).data(), count * all.cols,
                    out.data);
      }
    } else {
      NormRows(scratch_.x.Rows(first, count), weights_.final_norm, out);
    }
    row += size;
    wanted += count;
  }
  return wanted;
}

void Transformer::Logits(std::span<const Segment> segments,
                         MatrixView<float> logits) {
  context_.SetPassRows(0);
  const size_t wanted = HeadInputs(segments);
  if (wanted == 0 || NeededOnly(segments, logits)) return;
  const MatMulJob head = {
      scratch_.normed.Rows(0, wanted), weights_.HeadView(), {}, logits};
  MatMul({&head, 1}, context_);
  // Pieces that keep all threads busy even for one row.
  constexpr size_t kPiece = 4096;
  const size_t pieces = DivideUp(logits.cols, kPiece);
  context_.workers().ForEach(wanted * pieces, [&](size_t task, size_t) {
    const size_t begin = task % pieces * kPiece;
    const size_t size = std::min(kPiece, logits.cols - begin);
    SoftCap(config_.final_logits_soft_cap,
            logits.Row(task / pieces).subspan(begin, size));
  });
}

// If the logits of one row are wanted, and only some of them are needed,
// computes these for the first row of `normed`. Returns false if all must be
// computed.
bool Transformer::NeededOnly(std::span<const Segment> segments,
                             MatrixView<float> logits) {
  const NeededLogits* needed = segments[0].needed;
  if (segments.size() != 1 || needed == nullptr ||
      NumLogits(segments[0]) != 1) {
    return false;
  }
  if (needed->tokens.empty()) return TopLogits(*needed, logits.Row(0));
  TokenLogits(needed->tokens, logits.Row(0));
  return true;
}

// Computes the largest logits, if they are enough and can be found faster than
// all. Only for one row: two rows would read the weights twice.
bool Transformer::TopLogits(const NeededLogits& needed,
                            std::span<float> logits) {
  if (needed.top_k == 0 || needed.top_k > kMaxTopK ||
      !TopProducts::Supports(weights_.HeadView(), context_.arithmetic()) ||
      !top_products_.Pays()) {
    return false;
  }
  return top_products_.Find(scratch_.normed.Row(0), weights_.HeadView(),
                            needed.top_k, config_.final_logits_soft_cap,
                            context_, logits) &&
         (!needed.enough || needed.enough(logits));
}

// Computes the logits of the tokens, and of their neighbours in the same panel.
void Transformer::TokenLogits(std::span<const TokenId> tokens,
                              std::span<float> logits) {
  panels_.clear();
  for (const TokenId token : tokens) {
    const size_t panel = static_cast<size_t>(token) / kPanelRows;
    if (panels_.empty() || panels_.back() != panel) panels_.push_back(panel);
  }
  std::fill(logits.begin(), logits.end(),
            -std::numeric_limits<float>::infinity());
  const MatMulJob head = {scratch_.normed.Rows(0, 1),
                          weights_.HeadView(),
                          {},
                          {logits.data(), 1, logits.size()}};
  MatMulPanels(head, panels_, context_);
  for (const size_t panel : panels_) {
    const size_t row = panel * kPanelRows;
    SoftCap(config_.final_logits_soft_cap,
            logits.subspan(row, std::min(kPanelRows, logits.size() - row)));
  }
}

}  // namespace gemma::internal
