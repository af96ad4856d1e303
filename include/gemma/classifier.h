// ShieldGemma: whether a text violates a policy, as a probability.

#ifndef GEMMA_CLASSIFIER_H_
#define GEMMA_CLASSIFIER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/export.h"
#include "gemma/model.h"
#include "gemma/session.h"

namespace gemma {

// What a text must not contain. The model reads, as one principle:
//   "No <title>": <rule>
// It is sensitive to the words of both.
struct Policy {
  std::string name;           // as commands and results call it: "dangerous"
  std::string title;          // as the model reads it: "Dangerous Content"
  std::string prompt_rule;    // where a prompt is classified; empty: it cannot
  std::string response_rule;  // where a response is
};

// The four policies that ShieldGemma was trained on, with their published
// words: dangerous, harassment, hate, sexual.
GEMMA_EXPORT const std::vector<Policy>& ShieldPolicies();

// Policies from JSON, which is not trusted: an array of objects with `name`
// (letters, digits, "_", "-", "."; not twice), `title`, and `prompt_rule`,
// `response_rule` or both, all texts. InvalidArgument if it is something else.
// `path` is for messages.
GEMMA_EXPORT absl::StatusOr<std::vector<Policy>> ParsePolicies(
    std::string_view json, std::string_view path = "policies");

// The words around a text and a policy. Both are published; they differ in
// line breaks and a few words.
enum class ShieldWording {
  kHubTemplate,  // the chat template of the published tokenizer
  kExampleCode,  // Google's example code: lines are wrapped
};

// How to ask.
struct ClassifierOptions {
  // The words around text and policy.
  ShieldWording wording = ShieldWording::kHubTemplate;
  // Tokens that words, input and policy may have together. ShieldGemma was
  // trained with 8192. Memory is taken for as many as there are.
  size_t max_tokens = 8192;
  CacheFormat cache_format = CacheFormat::kAuto;  // as in SessionOptions
  // Called before each prompt of a call with how many were computed, of how
  // many; returning false cancels the rest.
  std::function<bool(size_t done, size_t total)> progress;
};

// What is classified: a prompt, or the response to it. Texts never become
// control tokens, so that none can leave its place between the words.
struct ClassifierInput {
  std::string_view text;                     // the prompt, UTF-8, as it is
  std::optional<std::string_view> response;  // if set, it is what is classified
};

// What a classifier did since it was created.
struct ClassifierStats {
  size_t num_prompts = 0;      // one for each input and policy
  size_t prompt_tokens = 0;    // of all of them
  size_t computed_tokens = 0;  // the others were there from the prompt before
};

// Asks a model of ShieldGemma's family. Movable. One thread at a time.
class GEMMA_EXPORT Classifier {
 public:
  // FailedPrecondition if the model has no tokenizer, or if its vocabulary has
  // no markers of turns or has `Yes` or `No` not as one token; InvalidArgument
  // if max_tokens is out of range.
  static absl::StatusOr<Classifier> Create(const Model& model,
                                           ClassifierOptions options = {});

  ~Classifier();
  Classifier(Classifier&&) noexcept;
  Classifier& operator=(Classifier&&) noexcept;

  // The probability, 0 to 1, that the input violates each of the policies: of
  // `Yes` against `No`, all other tokens aside, as the token behind the prompt.
  // What the prompts of the policies have in common is computed once; the
  // numbers are those of each policy alone (bit for bit where Session's
  // ForwardBatch is). OutOfRange if a prompt has more than max_tokens,
  // InvalidArgument if there are no policies or one has no rule for the input,
  // DataLoss if a logit is not finite, Cancelled if `progress` says so.
  absl::StatusOr<std::vector<double>> Classify(
      const ClassifierInput& input, absl::Span<const Policy> policies);

  // As Classify, of many inputs: their results in order, each as if it were
  // alone. What inputs begin with in common is computed once, in whatever order
  // they come, unless a text is longer than the model's window: responses to
  // one prompt cost little more than one. Empty if there is no memory even for
  // the results.
  std::vector<absl::StatusOr<std::vector<double>>> ClassifyAll(
      absl::Span<const ClassifierInput> inputs,
      absl::Span<const Policy> policies);

  // The tokens that the model reads. Fails as Classify does.
  absl::StatusOr<std::vector<TokenId>> Prompt(const ClassifierInput& input,
                                              const Policy& policy) const;

  // What was done so far.
  const ClassifierStats& stats() const;

 private:
  class Impl;
  explicit Classifier(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gemma

#endif  // GEMMA_CLASSIFIER_H_
