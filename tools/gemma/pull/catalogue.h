// Models that `gemma pull` knows by name.

#ifndef GEMMA_TOOLS_GEMMA_PULL_CATALOGUE_H_
#define GEMMA_TOOLS_GEMMA_PULL_CATALOGUE_H_

#include <cstdint>
#include <string_view>

#include "absl/types/span.h"

namespace gemma::tools {

// Whether a repository needs a token and accepted terms.
enum class Gated { kNo, kYes, kUnknown };

// Licences of models.
inline constexpr std::string_view kGemmaTerms = "Gemma Terms of Use";
inline constexpr std::string_view kApache = "Apache-2.0";

struct CatalogueEntry {
  std::string_view name;
  std::string_view description;
  std::string_view source;    // see ParseSource
  uint64_t bytes;             // exact if `sha256` is known, else an estimate
  uint64_t memory_megabytes;  // 10^6 bytes that a chat needs, an estimate
  Gated gated;
  std::string_view licence = kGemmaTerms;
  std::string_view file = {};    // file name, for a kPip source
  std::string_view sha256 = {};  // of the file
};

// All entries, by Gated in its order. In each group, models that chat come
// first, and among these files of about 4 bits, with the smallest that chats
// well at the top.
absl::Span<const CatalogueEntry> Catalogue();

// What `gemma pull` fetches without a name.
const CatalogueEntry& DefaultModel();

// The smallest open model that chats well.
const CatalogueEntry& SmallestChatModel();

// The entry with this name, or nullptr.
const CatalogueEntry* FindInCatalogue(std::string_view name);

// The entry that a name of another form means most likely: Ollama's
// FAMILY:SIZE[-it][-QUANTIZATION], as "gemma3:1b", or a part of one of our
// names, in any letter case. nullptr if the name has a part that is not known,
// or no entry has its family and size.
const CatalogueEntry* NearestInCatalogue(std::string_view name);

// The first instruction-tuned model that matches a base model: same family and
// size.
// `model` is the base model's path or name; only the beginning of its last part
// is compared. nullptr if no entry matches.
const CatalogueEntry* TunedSibling(std::string_view model);

// Printed before the first download of a model under these terms.
inline constexpr std::string_view kTermsNotice =
    "Gemma is provided under and subject to the Gemma Terms of Use found at "
    "ai.google.dev/gemma/terms";

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_CATALOGUE_H_
