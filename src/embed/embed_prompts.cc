// The prompts that EmbeddingGemma was trained with.

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "gemma/embedder.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"

namespace gemma {
namespace {

constexpr std::string_view kTitle = "{title}";

// From config_sentence_transformers.json of google/embeddinggemma-300m, where
// the prompts for documents have the title "none". The last two are from its
// model card, which also says where a title goes.
constexpr std::string_view kSearch = "task: search result | query: ";
constexpr std::string_view kDocument = "title: {title} | text: ";
constexpr std::string_view kClassification = "task: classification | query: ";
constexpr std::string_view kSimilarity = "task: sentence similarity | query: ";
constexpr EmbedPrompt kPrompts[] = {
    {"query", kSearch},
    {"document", kDocument},
    {"BitextMining", kSearch},
    {"Clustering", "task: clustering | query: "},
    {"Classification", kClassification},
    {"InstructionRetrieval", "task: code retrieval | query: "},
    {"MultilabelClassification", kClassification},
    {"PairClassification", kSimilarity},
    {"Reranking", kSearch},
    {"Retrieval", kSearch},
    {"Retrieval-query", kSearch},
    {"Retrieval-document", kDocument},
    {"STS", kSimilarity},
    {"Summarization", "task: summarization | query: "},
    {"QuestionAnswering", "task: question answering | query: "},
    {"FactChecking", "task: fact checking | query: "},
};

}  // namespace

absl::Span<const EmbedPrompt> EmbedPrompts() { return kPrompts; }

absl::StatusOr<std::string> EmbedPrefix(std::string_view prompt,
                                        std::string_view title) {
  return NoThrow([&]() -> absl::StatusOr<std::string> {
    const auto* found =
        std::find_if(std::begin(kPrompts), std::end(kPrompts),
                     [&](const EmbedPrompt& p) { return p.name == prompt; });
    if (found == std::end(kPrompts)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "no prompt '", prompt, "', wanted one of ",
          absl::StrJoin(kPrompts, ", ", [](std::string* out, const auto& p) {
            absl::StrAppend(out, p.name);
          })));
    }
    if (!title.empty() &&
        found->prefix.find(kTitle) == std::string_view::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("the prompt '", prompt, "' has no place for a title"));
    }
    return absl::StrReplaceAll(found->prefix,
                               {{kTitle, title.empty() ? "none" : title}});
  });
}

}  // namespace gemma
