// Shows the features of a text's tokens on an HTML page.

#ifndef GEMMA_TOOLS_GEMMA_TEXTS_SCOPE_HTML_H_
#define GEMMA_TOOLS_GEMMA_TEXTS_SCOPE_HTML_H_

#include <cstddef>
#include <string>

#include "tools/gemma/texts/scope_report.h"

namespace gemma::tools {

// The contents of scope_page.html.
extern const char kScopePage[];

// The most features of a token on a page: more than a good sparse autoencoder
// has active. The page says where it left out some.
inline constexpr size_t kMaxPageFeatures = 512;

// A page that colours the text by the strength of a feature that its reader
// chooses. It loads nothing else. Text, pieces and names are escaped, so they
// cannot become markup or script.
std::string ScopePage(const ScopedText& text);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_TEXTS_SCOPE_HTML_H_
