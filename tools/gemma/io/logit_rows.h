// Computes the logits of every position of a sequence, some rows at a time.

#ifndef GEMMA_TOOLS_GEMMA_IO_LOGIT_ROWS_H_
#define GEMMA_TOOLS_GEMMA_IO_LOGIT_ROWS_H_

#include <cstddef>
#include <functional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/session.h"

namespace gemma::tools {

// Rows computed at once, if --chunk is not given. A row needs 1 MiB for a
// vocabulary of 262,144 tokens.
inline constexpr size_t kDefaultLogitRows = 64;

// Appends `tokens` to the session and calls `on_rows` with the logits
// [n, vocab_size] of positions [first, first + n) of `tokens`, in order. Stops
// at the first error of `on_rows`, and at an interrupt.
absl::Status ForEachLogitRows(
    Session& session, absl::Span<const TokenId> tokens, size_t rows_at_once,
    const std::function<absl::Status(size_t first, absl::Span<const float>)>&
        on_rows);

// Returns OK, or PromptTooLong if `num_tokens` more tokens do not fit in the
// session.
absl::Status CheckFits(const Session& session, size_t num_tokens);

// Returns a context that holds a prompt of `num_tokens` tokens and an answer.
// It is a power of two, as people choose contexts.
size_t RoomyContext(size_t num_tokens);

// Returns the error of a prompt of `num_tokens` tokens in a context that has
// room for `room` tokens. `option` sets a larger one.
absl::Status PromptTooLong(size_t num_tokens, size_t room,
                           std::string_view option = "--context");

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_LOGIT_ROWS_H_
