// Words that look like the names of control tokens.

#ifndef GEMMA_SRC_TEXT_TURNS_MARKERS_H_
#define GEMMA_SRC_TEXT_TURNS_MARKERS_H_

#include <string_view>
#include <vector>

namespace gemma::internal {

// Returns the words of the text, in its order, that chat templates write for
// control tokens: <|name|>, <one_name>, <s>, </s>, <bos>, <eos>, [NAME] and
// [/NAME]. Other words in angle brackets, such as <think>, are often meant as
// text. The results point into the text.
std::vector<std::string_view> MarkersIn(std::string_view text);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TURNS_MARKERS_H_
