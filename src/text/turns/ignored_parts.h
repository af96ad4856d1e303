// Which parts of a chat a template in Jinja leaves out.

#ifndef GEMMA_SRC_TEXT_TURNS_IGNORED_PARTS_H_
#define GEMMA_SRC_TEXT_TURNS_IGNORED_PARTS_H_

#include <functional>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/chat_template.h"
#include "src/jinja/values/marked_text.h"

namespace gemma::internal {

// Renders a chat with the same template and options.
using RenderFunction =
    std::function<absl::StatusOr<MarkedText>(absl::Span<const Message>)>;

// Returns what the template ignores, "calls of tools" or "results of tools", or
// an empty text. `text` is the chat that it rendered. A template may leave out
// calls and results before the last message of a user if it writes them while
// they are new. Renders the chat a few times, however many calls it has.
std::string_view IgnoredToolParts(absl::Span<const Message> messages,
                                  const MarkedText& text,
                                  const RenderFunction& render);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TURNS_IGNORED_PARTS_H_
