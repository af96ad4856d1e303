// Room in the context of a conversation.

#include <algorithm>
#include <iterator>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/chat/conversation.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/logit_rows.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max() / 4;

// An error that advises a context with room for `num_tokens` and an answer, or
// fewer turns.
absl::Status ContextFull(std::string_view cause, size_t num_tokens) {
  return WithCure(
      absl::OutOfRangeError(cause),
      absl::StrCat("/set context ", RoomyContext(num_tokens),
                   ", /set context-policy drop-oldest-turns, /undo or /clear "
                   "makes room; /save FILE keeps the chat"));
}

// The error of a message that needs `num_tokens` tokens even without turns
// before it: only a larger context helps.
absl::Status MessageTooLong(size_t num_tokens, size_t capacity) {
  return PromptTooLong(num_tokens, capacity, "/set context");
}

}  // namespace

size_t Conversation::capacity() const {
  const size_t left = session_.remaining();
  return left > kNoLimit ? kNoLimit : left + session_.position();
}

size_t Conversation::Reserve(const AnswerOptions& options) const {
  const size_t most = std::max<size_t>(1, capacity() / 4);
  return options.max_tokens == 0 ? most : std::min(options.max_tokens, most);
}

absl::StatusOr<ContextUse> Conversation::Use() const {
  ContextUse use;
  use.capacity = capacity();
  use.is_limited = use.capacity != kNoLimit;
  const auto add = [&use](size_t end) {
    use.turns.push_back(end - use.used);
    use.used = end;
  };
  for (const size_t end : ends_) add(end);
  if (ends_.size() == turns_.size()) return use;
  GEMMA_ASSIGN_OR_RETURN(const Prompt prompt, RenderUnread({}));
  use = {.capacity = use.capacity, .is_limited = use.is_limited};
  for (const size_t end : prompt.ends) add(end);
  use.unread = use.used - std::min(use.used, prompt.begin);
  return use;
}

absl::Status Conversation::CheckRoom() const {
  if (policy_ != ContextPolicy::kError || read_position() < capacity()) {
    return absl::OkStatus();
  }
  return ContextFull(
      absl::StrCat("the context of ", capacity(), " tokens is full"),
      2 * capacity());
}

absl::Status Conversation::CheckRoomFor(std::string_view what,
                                        size_t num_tokens) const {
  GEMMA_ASSIGN_OR_RETURN(const ContextUse use, Use());
  const bool fits_alone = num_tokens < use.capacity;
  const bool drops_turns = policy_ == ContextPolicy::kDropOldestTurns;
  if (drops_turns ? fits_alone : num_tokens < use.left()) {
    return absl::OkStatus();
  }
  const std::string cause =
      absl::StrCat(what, ": has ", Counted(num_tokens, "token"));
  if (fits_alone) {
    return ContextFull(
        absl::StrCat(cause, ", ", use.left(), " of the context's ",
                     use.capacity, " are left"),
        use.used + num_tokens);
  }
  return WithCure(
      absl::OutOfRangeError(absl::StrCat(cause, ", fewer than ", use.capacity,
                                         " fit in the context")),
      absl::StrCat("/set context ", RoomyContext(use.used + num_tokens),
                   " holds it"));
}

absl::Status Conversation::CheckTurnsFit(bool are_new) const {
  GEMMA_ASSIGN_OR_RETURN(const ContextUse use, Use());
  if (use.left() > 0 || policy_ != ContextPolicy::kError) {
    return absl::OkStatus();
  }
  const std::string cause = absl::StrCat(
      Counted(turns_.size(), "turn"), turns_.size() == 1 ? " has " : " have ",
      use.used, " tokens, fewer than ", use.capacity, " fit in the context");
  if (!are_new) return ContextFull(cause, use.used);
  return WithCure(absl::OutOfRangeError(cause),
                  absl::StrCat("/set context ", RoomyContext(use.used),
                               " or /set context-policy drop-oldest-turns "
                               "makes room for them; then /load again"));
}

absl::StatusOr<Conversation::Prompt> Conversation::MakeRoom(
    const Turn& next, const AnswerOptions& options,
    std::vector<Turn>* dropped) {
  GEMMA_ASSIGN_OR_RETURN(Prompt prompt, RenderUnread(next));
  const size_t left = capacity() - prompt.begin;
  const size_t needed = prompt.tokens.size();
  if (policy_ == ContextPolicy::kDropOldestTurns) {
    const size_t reserve = Reserve(options);
    if (needed + reserve <= left) return prompt;
    return DropOldestTurns(next, reserve, dropped);
  }
  if (needed <= left) return prompt;
  GEMMA_ASSIGN_OR_RETURN(const Prompt alone,
                         Render(turns_.size(), /*num_read=*/0, next));
  const size_t alone_needs = alone.begin + alone.tokens.size();
  if (alone_needs > capacity()) {
    return MessageTooLong(prompt.begin + needed, capacity());
  }
  return ContextFull(
      absl::StrCat("the message needs ", needed, " tokens, ", left,
                   " of the context's ", capacity(), " are left"),
      capacity() - left + needed);
}

absl::StatusOr<Conversation::Prompt> Conversation::DropOldestTurns(
    const Turn& next, size_t reserve, std::vector<Turn>* dropped) {
  // Drop at least one turn, if any: MakeRoom found that not all of them fit.
  for (size_t first = turns_.empty() ? 0 : 1;; ++first) {
    GEMMA_ASSIGN_OR_RETURN(Prompt prompt, Render(first, /*num_read=*/0, next));
    const size_t needed = prompt.begin + prompt.tokens.size();
    const bool is_last = first == turns_.size();
    if (needed + reserve > capacity() && !is_last) continue;
    if (needed > capacity()) return MessageTooLong(needed, capacity());
    const auto kept = turns_.begin() + static_cast<ptrdiff_t>(first);
    dropped->assign(std::make_move_iterator(turns_.begin()),
                    std::make_move_iterator(kept));
    turns_.erase(turns_.begin(), kept);
    ends_.clear();
    return prompt;
  }
}

}  // namespace gemma::tools
