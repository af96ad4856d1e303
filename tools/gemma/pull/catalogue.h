// Models that `gemma pull` knows by name.

#ifndef GEMMA_TOOLS_GEMMA_PULL_CATALOGUE_H_
#define GEMMA_TOOLS_GEMMA_PULL_CATALOGUE_H_

#include <cstdint>
#include <string_view>

#include "absl/types/span.h"

namespace gemma::tools {

struct CatalogueEntry {
  std::string_view name;
  std::string_view description;
  std::string_view source;  // see ParseSource
  uint64_t bytes;           // exact if `sha256` is known, else about
  std::string_view file;    // of a source that does not tell it, else ""
  std::string_view sha256;  // of the file, or ""
  bool gated;               // needs a token and accepted terms
};

// The first is the default.
absl::Span<const CatalogueEntry> Catalogue();

// nullptr if there is none.
const CatalogueEntry* FindInCatalogue(std::string_view name);

// The instruction-tuned model of the same size as the base model that a path or
// name means, by its beginning; nullptr if there is none.
const CatalogueEntry* TunedSibling(std::string_view model);

// The licence of all of them.
inline constexpr std::string_view kLicence = "Gemma Terms of Use";
inline constexpr std::string_view kTermsNotice =
    "Gemma is provided under and subject to the Gemma Terms of Use found at "
    "ai.google.dev/gemma/terms";

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_CATALOGUE_H_
