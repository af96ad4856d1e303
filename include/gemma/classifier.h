// ShieldGemma: the probability that a text violates a policy.

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
#include "gemma/engine.h"
#include "gemma/export.h"
#include "gemma/model.h"
#include "gemma/session.h"

namespace gemma {

// A rule that texts must not violate. The model reads it as one principle:
//   "No <title>": <rule>
// The words of both affect the result.
struct Policy {
  std::string name;           // in commands and results: "dangerous"
  std::string title;          // as the model reads it: "Dangerous Content"
  std::string prompt_rule;    // for prompts; empty: cannot classify prompts
  std::string response_rule;  // for responses; likewise
};

// Returns the four policies that ShieldGemma was trained on, with their
// published words: dangerous, harassment, hate, sexual.
GEMMA_EXPORT const std::vector<Policy>& ShieldPolicies();

// Parses policies from untrusted JSON: an array of objects with `name`
// (letters, digits, "_", "-", "."; no name twice), `title`, and `prompt_rule`,
// `response_rule` or both. All values are texts. Returns InvalidArgument for
// anything else; messages begin with `path`.
GEMMA_EXPORT absl::StatusOr<std::vector<Policy>> ParsePolicies(
    std::string_view json, std::string_view path = "policies");

// The words around a text and a policy. Google published both versions; they
// differ in line breaks and a few words.
enum class ShieldWording {
  kHubTemplate,  // the chat template of the published tokenizer
  kExampleCode,  // Google's example code: lines are wrapped
};

// How a classifier asks the model.
struct ClassifierOptions {
  // The words around text and policy.
  ShieldWording wording = ShieldWording::kHubTemplate;
  // The most tokens that a whole prompt may have: words, input and policy.
  // ShieldGemma was trained with 8192. Memory grows only with the longest
  // prompt so far.
  size_t max_tokens = 8192;
  CacheFormat cache_format = CacheFormat::kAuto;  // as in SessionOptions
  // Called before each prompt of a call with the number of prompts computed so
  // far and the number of all prompts. Return false to cancel the rest.
  std::function<bool(size_t done, size_t total)> progress;
};

// The text to classify: a prompt, or the response to it. Texts never become
// control tokens, so a text cannot leave its place between the words. Views
// must stay valid during the call.
struct ClassifierInput {
  std::string_view text;                     // the prompt, UTF-8
  std::optional<std::string_view> response;  // if set, this is classified
};

// Counts of a classifier's work since its creation.
struct ClassifierStats {
  size_t num_prompts = 0;      // one for each input and policy
  size_t prompt_tokens = 0;    // in all prompts
  size_t computed_tokens = 0;  // the rest was reused from earlier prompts
  // The least probability that `Yes` and `No` had together as the token after a
  // prompt, of all tokens; 1 before the first prompt. A ShieldGemma has nearly
  // 1. A model with less than 0.5 answers another question, and its results
  // mean nothing.
  double least_answer_mass = 1;
};

// What the completion of one of Classifier::Requests says.
struct ClassifierAnswer {
  // That the input violates the policy, 0 to 1, as from Classify.
  double probability = 0;
  // The probability that `Yes` and `No` had together; see ClassifierStats.
  double answer_mass = 0;
};

// Classifies texts with a model of ShieldGemma's family. Shares the model.
// Movable. Use it from one thread at a time.
class GEMMA_EXPORT Classifier {
 public:
  // Returns FailedPrecondition if the model has no tokenizer, if its vocabulary
  // lacks turn markers, or if `Yes` or `No` is not a single token;
  // InvalidArgument if max_tokens is out of range.
  static absl::StatusOr<Classifier> Create(const Model& model,
                                           ClassifierOptions options = {});

  ~Classifier();
  Classifier(Classifier&&) noexcept;
  Classifier& operator=(Classifier&&) noexcept;

  // Returns, for each policy, the probability (0 to 1) that the input violates
  // it: the probability of `Yes` against `No` as the token that follows the
  // prompt, ignoring all other tokens. The common beginning of the policies'
  // prompts is computed once. Each number is the same as for that policy alone
  // (bit for bit under the conditions of Session::ForwardBatch). Errors:
  // OutOfRange if a prompt has more than max_tokens tokens, InvalidArgument if
  // `policies` is empty or a policy has no rule for the input, DataLoss if a
  // logit is not finite, Cancelled if `progress` returned false.
  absl::StatusOr<std::vector<double>> Classify(
      const ClassifierInput& input, absl::Span<const Policy> policies);

  // Classifies many inputs. Returns their results in the order of the inputs,
  // each the same as from Classify. A common beginning of inputs is computed
  // once, whatever their order, except if a text is longer than the model's
  // window; so several responses to one prompt cost little more than one.
  // Returns an empty vector if memory runs out even for the results.
  std::vector<absl::StatusOr<std::vector<double>>> ClassifyAll(
      absl::Span<const ClassifierInput> inputs,
      absl::Span<const Policy> policies);

  // Returns a request for each policy, in order. An engine of the model answers
  // them in its own schedule, beside the requests of others, and computes their
  // common beginning once. Fails as Classify does, but does not compute: the
  // engine refuses prompts that are longer than its own max_tokens. Several
  // threads may call this at the same time.
  absl::StatusOr<std::vector<Request>> Requests(
      const ClassifierInput& input, absl::Span<const Policy> policies) const;
  // Returns what the completion of such a request says. The probability differs
  // from that of Classify by the rounding of a double at most, if the logits
  // have the same bits. Cancelled or DeadlineExceeded if the request ended
  // early.
  static absl::StatusOr<ClassifierAnswer> AnswerOf(
      const Completion& completion);

  // Returns the tokens that the model reads. Fails as Classify does.
  absl::StatusOr<std::vector<TokenId>> Prompt(const ClassifierInput& input,
                                              const Policy& policy) const;

  // Returns the counts so far.
  const ClassifierStats& stats() const;

 private:
  class Impl;
  explicit Classifier(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gemma

#endif  // GEMMA_CLASSIFIER_H_
