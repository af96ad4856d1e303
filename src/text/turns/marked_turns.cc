#include "src/text/turns/marked_turns.h"

#include <algorithm>
#include <string_view>

#include "src/base/status_macros.h"
#include "src/text/tokenizer/tokenizer_impl.h"

namespace gemma::internal {
namespace {

// How many bytes both texts begin with that are the same and of one origin.
size_t CommonBytes(const MarkedText& a, const MarkedText& b) {
  const auto differ = std::mismatch(a.text().begin(), a.text().end(),
                                    b.text().begin(), b.text().end());
  const auto same = static_cast<size_t>(differ.first - a.text().begin());
  auto in_a = a.runs().begin();
  auto in_b = b.runs().begin();
  while (in_a != a.runs().end() && in_b != b.runs().end()) {
    // Runs begin together here.
    if (in_a->origin != in_b->origin) {
      const size_t begin = in_a == a.runs().begin() ? 0 : (in_a - 1)->end;
      return std::min(same, begin);
    }
    if (in_a->end != in_b->end) {
      return std::min({same, in_a->end, in_b->end});
    }
    ++in_a;
    ++in_b;
  }
  return same;
}

}  // namespace

std::vector<MarkedText::Run>::const_iterator RunAt(const MarkedText& text,
                                                   size_t at) {
  return std::find_if(
      text.runs().begin(), text.runs().end(),
      [at](const MarkedText::Run& run) { return run.end > at; });
}

absl::StatusOr<std::vector<TokenId>> MarkedTurns::Encoded(
    const absl::StatusOr<MarkedText>& text) const {
  GEMMA_RETURN_IF_ERROR(text.status());
  std::vector<TokenId> tokens;
  std::vector<size_t> no_cuts;
  GEMMA_RETURN_IF_ERROR(
      tokenizer_.impl().EncodeMarked(*text, 0, {}, tokens, no_cuts));
  return tokens;
}

absl::StatusOr<ChatPrompt> MarkedTurns::Continue(
    absl::Span<const Message> messages, size_t num_read,
    const ChatOptions& options) const {
  GEMMA_ASSIGN_OR_RETURN(const MarkedText text, Text(messages, options));
  ChatPrompt prompt;
  size_t begin = 0;
  if (num_read > 0) {
    const std::optional<Place> answer =
        Find(text, messages, num_read - 1, options);
    if (answer.has_value() && answer->is_unchanged) {
      begin = answer->end;
      prompt.whole = false;
    }
  }
  std::vector<size_t> ends;
  for (size_t i = prompt.whole ? 0 : num_read; i < messages.size(); ++i) {
    if (messages[i].role != Role::kModel) continue;
    const size_t last = ends.empty() ? begin : ends.back();
    const std::optional<Place> answer = Find(text, messages, i, options);
    ends.push_back(answer.has_value() ? std::max(answer->end, last) : last);
  }
  GEMMA_RETURN_IF_ERROR(tokenizer_.impl().EncodeMarked(
      text, begin, ends, prompt.tokens, prompt.answer_ends));
  return prompt;
}

std::optional<MarkedTurns::Place> MarkedTurns::Find(
    const MarkedText& text, absl::Span<const Message> messages, size_t i,
    const ChatOptions& options) const {
  const absl::StatusOr<MarkedText> before =
      Beginning(messages.first(i), options);
  if (!before.ok()) return std::nullopt;
  const size_t common = CommonBytes(*before, text);
  Place place;
  place.end = common;
  const auto run = RunAt(text, common);
  if (run != text.runs().end() && run->origin == TextOrigin::kMessage) {
    place.end = run->end;
  }
  const std::string_view found =
      std::string_view(text.text()).substr(common, place.end - common);
  const bool is_same = Strip(found) == Strip(messages[i].text);
  if (common < before->size()) {
    // The template opens a turn otherwise than it closes it: Gemma 4 puts an
    // empty thought before an answer, and leaves it out later.
    if (!is_same || found.empty()) return std::nullopt;
    return place;
  }
  place.is_unchanged = found == messages[i].text &&
                       messages[i].tool_calls.empty() &&
                       messages[i].thoughts.empty();
  return place;
}

}  // namespace gemma::internal
