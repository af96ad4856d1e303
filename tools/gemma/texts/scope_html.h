// The features of a text's tokens as a page.

#ifndef GEMMA_TOOLS_GEMMA_TEXTS_SCOPE_HTML_H_
#define GEMMA_TOOLS_GEMMA_TEXTS_SCOPE_HTML_H_

#include <cstddef>
#include <string>

#include "tools/gemma/texts/scope_report.h"

namespace gemma::tools {

// The text of scope_page.html.
extern const char kScopePage[];

// Features of a token that a page has: more than an autoencoder that is worth
// its name has active.
inline constexpr size_t kMaxPageFeatures = 512;

// A page that colours the text by a feature's strength, which its reader
// chooses. It needs nothing but itself, and nothing in the text, the pieces or
// the names can become a part of it.
std::string ScopePage(const ScopedText& text);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_TEXTS_SCOPE_HTML_H_
