#include "tools/gemma/io/logit_rows.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/signals.h"

namespace gemma::tools {

absl::Status ForEachLogitRows(
    Session& session, absl::Span<const TokenId> tokens, size_t rows_at_once,
    const std::function<absl::Status(size_t first, absl::Span<const float>)>&
        on_rows) {
  const size_t vocab_size = session.model().config().vocab_size;
  std::vector<float> logits(std::min(rows_at_once, tokens.size()) * vocab_size);
  for (size_t first = 0; first < tokens.size(); first += rows_at_once) {
    if (Interrupted()) return InterruptedError();
    const absl::Span<const TokenId> rows = tokens.subspan(first, rows_at_once);
    const absl::Span<float> out =
        absl::MakeSpan(logits).first(rows.size() * vocab_size);
    GEMMA_RETURN_IF_ERROR(session.ForwardAll(rows, out));
    GEMMA_RETURN_IF_ERROR(on_rows(first, out));
  }
  return absl::OkStatus();
}

absl::Status CheckFits(const Session& session, size_t num_tokens) {
  if (num_tokens <= session.remaining()) return absl::OkStatus();
  return PromptTooLong(num_tokens, session.remaining());
}

size_t RoomyContext(size_t num_tokens) {
  return std::bit_ceil(num_tokens + 256);
}

absl::Status PromptTooLong(size_t num_tokens, size_t room,
                           std::string_view option) {
  return WithCure(
      absl::OutOfRangeError(absl::StrCat("the prompt has ", num_tokens,
                                         " tokens, ", room,
                                         " fit in the context")),
      absl::StrCat(option, " ", RoomyContext(num_tokens), " holds it"));
}

}  // namespace gemma::tools
