// The prompts that EmbeddingGemma was trained with, and those of a model's own
// files.

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gemma/embedder.h"
#include "src/base/internal.h"
#include "src/base/listing.h"
#include "src/base/messages.h"
#include "src/base/no_throw.h"
#include "src/session/model_impl.h"

namespace gemma {
namespace {

// The places for a title in a published prompt, and in a prompt of a file.
constexpr std::string_view kTitle = "{title}";
constexpr std::string_view kNoTitle = "title: none | ";

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

// Returns the words of the prompt with this name. `place` is where they have
// room for a title.
absl::StatusOr<std::string> WordsOf(absl::Span<const EmbedPrompt> prompts,
                                    std::string_view name,
                                    std::string_view title,
                                    std::string_view place) {
  const auto found =
      std::find_if(prompts.begin(), prompts.end(),
                   [&](const EmbedPrompt& p) { return p.name == name; });
  if (found == prompts.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "no prompt ", Quoted(name),
        prompts.empty() ? ": the model's files have none" : ", wanted one of ",
        Listing(prompts, [](const auto& p) { return Printable(p.name); })));
  }
  if (!title.empty() && found->prefix.find(place) == std::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("the prompt ", Quoted(name), " has no place for a title"));
  }
  const std::string before = title.empty() ? "none" : std::string(title);
  return absl::StrReplaceAll(
      found->prefix,
      {{place,
        place == kTitle ? before : absl::StrCat("title: ", before, " | ")}});
}

// The words of a published prompt as a model's file states them.
std::string PublishedWords(const EmbedPrompt& prompt) {
  return absl::StrReplaceAll(prompt.prefix, {{kTitle, "none"}});
}

// The prompts of the files, then the published prompts that they lack, unless
// the files have other prompts than published ones, or none: then the model was
// trained with its own prompts only.
std::vector<EmbedPrompt> PromptsOf(const std::optional<TextPrompts>& own) {
  if (!own.has_value()) return {std::begin(kPrompts), std::end(kPrompts)};
  std::vector<EmbedPrompt> prompts;
  for (const TextPrompt& prompt : own->all) {
    prompts.push_back({prompt.name, prompt.words});
  }
  const auto is_published = [](const TextPrompt& own_prompt) {
    return std::any_of(std::begin(kPrompts), std::end(kPrompts),
                       [&](const EmbedPrompt& p) {
                         return p.name == own_prompt.name &&
                                PublishedWords(p) == own_prompt.words;
                       });
  };
  if (prompts.empty() ||
      !std::all_of(own->all.begin(), own->all.end(), is_published)) {
    return prompts;
  }
  for (const EmbedPrompt& published : kPrompts) {
    const bool is_own = std::any_of(
        own->all.begin(), own->all.end(),
        [&](const TextPrompt& p) { return p.name == published.name; });
    if (!is_own) prompts.push_back(published);
  }
  return prompts;
}

}  // namespace

absl::Span<const EmbedPrompt> EmbedPrompts() { return kPrompts; }

absl::StatusOr<std::string> EmbedPrefix(std::string_view prompt,
                                        std::string_view title) {
  return NoThrow([&]() -> absl::StatusOr<std::string> {
    return WordsOf(kPrompts, prompt, title, kTitle);
  });
}

std::vector<EmbedPrompt> Embedder::prompts() const {
  return PromptsOf(model_.impl().prompts);
}

std::string_view Embedder::default_prompt() const {
  const auto& own = model_.impl().prompts;
  return own.has_value() ? std::string_view(own->default_name) : "";
}

absl::StatusOr<std::string> Embedder::Prefix(std::string_view prompt,
                                             std::string_view title) const {
  return NoThrow([&]() -> absl::StatusOr<std::string> {
    if (prompt.empty()) prompt = default_prompt();
    if (prompt.empty()) {
      if (title.empty()) return "";
      return absl::InvalidArgumentError("a title needs a prompt");
    }
    const std::optional<TextPrompts>& own = model_.impl().prompts;
    const bool is_own =
        own.has_value() &&
        std::any_of(own->all.begin(), own->all.end(),
                    [&](const TextPrompt& p) { return p.name == prompt; });
    const std::string_view place = is_own ? kNoTitle : kTitle;
    return WordsOf(prompts(), prompt, title, place);
  });
}

}  // namespace gemma
