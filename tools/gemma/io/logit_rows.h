// The logits of every position of a sequence, some rows at a time.

#ifndef GEMMA_TOOLS_GEMMA_IO_LOGIT_ROWS_H_
#define GEMMA_TOOLS_GEMMA_IO_LOGIT_ROWS_H_

#include <cstddef>
#include <functional>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/session.h"

namespace gemma::tools {

// Rows computed at once unless --chunk says otherwise. A row of a vocabulary of
// 262,144 takes a megabyte.
inline constexpr size_t kDefaultLogitRows = 64;

// Appends `tokens` to the session and calls `on_rows` with the logits
// [n, vocab_size] of positions [first, first + n) of `tokens`, in order. Stops
// at its first error and at an interrupt.
absl::Status ForEachLogitRows(
    Session& session, absl::Span<const TokenId> tokens, size_t rows_at_once,
    const std::function<absl::Status(size_t first, absl::Span<const float>)>&
        on_rows);

// OK, or an error that says that `num_tokens` more do not fit in the session.
absl::Status CheckFits(const Session& session, size_t num_tokens);

// The power of two, as people choose contexts, that has room for an answer
// behind so many tokens.
size_t RoomyContext(size_t num_tokens);

// That error, for a context that has `room` for so many tokens.
absl::Status PromptTooLong(size_t num_tokens, size_t room);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_IO_LOGIT_ROWS_H_
