#include "gemma/classifier.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "gemma/error_reason.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/classify/shield_prompt.h"
#include "src/forward/segment.h"
#include "src/session/model_impl.h"
#include "src/session/session_impl.h"

namespace gemma {
namespace {

using Result = absl::StatusOr<std::vector<double>>;

// The tokens of the first session. Longer prompts are rare.
constexpr size_t kFirstTokens = 1024;

// Returns the number of tokens that both begin with.
size_t CommonPrefix(absl::Span<const TokenId> a, absl::Span<const TokenId> b) {
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first -
         a.begin();
}

// The prompt of an input with one policy.
struct Query {
  size_t policy = 0;
  std::vector<TokenId> tokens;
};

// An input with all policies, sorted by their tokens.
struct Job {
  size_t input = 0;
  std::vector<Query> queries;

  // Returns the tokens that all prompts begin with, at most all but the last
  // one.
  size_t Common() const {
    const absl::Span<const TokenId> first = queries.front().tokens;
    return CommonPrefix(first.first(first.size() - 1), queries.back().tokens);
  }
  size_t Longest() const {
    size_t longest = 0;
    for (const Query& query : queries) {
      longest = std::max(longest, query.tokens.size());
    }
    return longest;
  }
};

absl::Status CheckPolicies(absl::Span<const Policy> policies) {
  if (!policies.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("there are no policies, wanted 1 or more");
}

// Returns the probability of Yes against No by their logits or logarithms of
// probabilities.
double YesAgainstNo(double yes, double no) {
  return 1.0 / (1.0 + std::exp(no - yes));
}

absl::StatusOr<ClassifierAnswer> ReadAnswer(const Completion& completion) {
  const StopReason reason = completion.stats.stop_reason;
  if (reason == StopReason::kCancelled) {
    return absl::CancelledError("the request was cancelled");
  }
  if (reason == StopReason::kDeadline) {
    return absl::DeadlineExceededError("the request ended at its deadline");
  }
  if (completion.scores.size() != 2) {
    return absl::InvalidArgumentError(FormatText(
        "the completion has %u scores, wanted 2", completion.scores.size()));
  }
  const double yes = completion.scores[0].log_probability;
  const double no = completion.scores[1].log_probability;
  return ClassifierAnswer{YesAgainstNo(yes, no), std::exp(yes) + std::exp(no)};
}

// Returns the probability, among all tokens, of the two with these logits.
double Mass(absl::Span<const float> logits, double a, double b) {
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - max);
  return (std::exp(a - max) + std::exp(b - max)) / sum;
}

}  // namespace

class Classifier::Impl {
 public:
  Impl(const Model& model, ClassifierOptions options, ShieldPrompt prompt,
       TokenId yes, TokenId no, Session session)
      : model_(model),
        options_(std::move(options)),
        prompt_(prompt),
        yes_(yes),
        no_(no),
        session_(std::move(session)) {}

  static absl::StatusOr<Session> NewSession(const Model& model,
                                            const ClassifierOptions& options,
                                            size_t tokens) {
    return Session::Create(model,
                           {.max_tokens = std::min(tokens, options.max_tokens),
                            .max_checkpoints = 1,  // for Keep
                            .cache_format = options.cache_format});
  }

  absl::StatusOr<std::vector<TokenId>> Prompt(const ClassifierInput& input,
                                              const Policy& policy) const;

  absl::StatusOr<std::vector<Request>> Requests(
      const ClassifierInput& input, absl::Span<const Policy> policies) const;

  // Writes the inputs' results to as many `results`.
  void ClassifyAll(absl::Span<const ClassifierInput> inputs,
                   absl::Span<const Policy> policies,
                   std::vector<Result>& results);

  const ClassifierStats& stats() const { return stats_; }

 private:
  absl::StatusOr<Job> MakeJob(const ClassifierInput& input, size_t index,
                              absl::Span<const Policy> policies) const;

  // Makes the session's context long enough for the jobs.
  absl::Status MakeRoom(const std::vector<Job>& jobs);

  // Reports progress. Returns an error if the caller cancels.
  absl::Status ShowProgress(size_t done, size_t total) const;

  // Returns the probabilities by policy. `done`, `total`: for the progress.
  Result Run(const Job& job, size_t done, size_t total);

  // Saves a checkpoint after the tokens that all prompts share, if a rewind to
  // that point would otherwise compute them again.
  absl::Status Keep(const Job& job);

  // Rewinds to the part of `tokens` that the session still holds.
  absl::Status GoBack(absl::Span<const TokenId> tokens);

  // Returns the probability of Yes after `tokens`.
  absl::StatusOr<double> Answer(absl::Span<const TokenId> tokens);

  const Model model_;
  const ClassifierOptions options_;
  const ShieldPrompt prompt_;
  const TokenId yes_;
  const TokenId no_;
  Session session_;  // holds the last prompt
  ClassifierStats stats_;
};

absl::StatusOr<std::vector<TokenId>> Classifier::Impl::Prompt(
    const ClassifierInput& input, const Policy& policy) const {
  GEMMA_ASSIGN_OR_RETURN(std::vector<TokenId> tokens,
                         prompt_.Tokens(input, policy));
  if (tokens.size() > options_.max_tokens) {
    return absl::OutOfRangeError(FormatText(
        "the prompt for the policy %s has %u tokens, the context has room for "
        "%u",
        Quoted(policy.name), tokens.size(), options_.max_tokens));
  }
  return tokens;
}

absl::StatusOr<std::vector<Request>> Classifier::Impl::Requests(
    const ClassifierInput& input, absl::Span<const Policy> policies) const {
  GEMMA_RETURN_IF_ERROR(CheckPolicies(policies));
  std::vector<Request> requests;
  for (const Policy& policy : policies) {
    Request& request = requests.emplace_back();
    GEMMA_ASSIGN_OR_RETURN(request.prompt, Prompt(input, policy));
    request.choices = {{yes_}, {no_}};
  }
  return requests;
}

absl::StatusOr<Job> Classifier::Impl::MakeJob(
    const ClassifierInput& input, size_t index,
    absl::Span<const Policy> policies) const {
  GEMMA_RETURN_IF_ERROR(CheckPolicies(policies));
  Job job = {index};
  for (size_t i = 0; i < policies.size(); ++i) {
    GEMMA_ASSIGN_OR_RETURN(std::vector<TokenId> tokens,
                           Prompt(input, policies[i]));
    job.queries.push_back({i, std::move(tokens)});
  }
  std::sort(job.queries.begin(), job.queries.end(),
            [](const Query& a, const Query& b) { return a.tokens < b.tokens; });
  return job;
}

absl::Status Classifier::Impl::MakeRoom(const std::vector<Job>& jobs) {
  size_t most = 0;
  for (const Job& job : jobs) most = std::max(most, job.Longest());
  const size_t now = session_.options().max_tokens;
  if (most <= now) return absl::OkStatus();
  GEMMA_ASSIGN_OR_RETURN(session_,
                         NewSession(model_, options_, std::max(most, 2 * now)));
  return absl::OkStatus();
}

absl::Status Classifier::Impl::ShowProgress(size_t done, size_t total) const {
  if (!options_.progress || options_.progress(done, total)) {
    return absl::OkStatus();
  }
  return absl::CancelledError("classifying was cancelled");
}

Result Classifier::Impl::Run(const Job& job, size_t done, size_t total) {
  std::vector<double> probabilities(job.queries.size());
  for (size_t i = 0; i < job.queries.size(); ++i) {
    GEMMA_RETURN_IF_ERROR(ShowProgress(done + i, total));
    if (i == 0) GEMMA_RETURN_IF_ERROR(Keep(job));
    const Query& query = job.queries[i];
    GEMMA_ASSIGN_OR_RETURN(probabilities[query.policy], Answer(query.tokens));
  }
  return probabilities;
}

absl::Status Classifier::Impl::Keep(const Job& job) {
  const size_t common = job.Common();
  if (job.Longest() - common <= session_.impl().rollback()) {
    return absl::OkStatus();
  }
  const absl::Span<const TokenId> tokens =
      absl::MakeConstSpan(job.queries[0].tokens).first(common);
  GEMMA_RETURN_IF_ERROR(GoBack(tokens));
  const absl::Span<const TokenId> rest = tokens.subspan(session_.position());
  if (!rest.empty()) GEMMA_RETURN_IF_ERROR(session_.Append(rest));
  stats_.computed_tokens += rest.size();
  return session_.Checkpoint();
}

absl::Status Classifier::Impl::GoBack(absl::Span<const TokenId> tokens) {
  return session_.Rewind(
      session_.impl().Reachable(CommonPrefix(session_.tokens(), tokens)));
}

absl::StatusOr<double> Classifier::Impl::Answer(
    absl::Span<const TokenId> tokens) {
  // The last token makes the logits, which the session does not keep.
  GEMMA_RETURN_IF_ERROR(GoBack(tokens.first(tokens.size() - 1)));
  const absl::Span<const TokenId> rest = tokens.subspan(session_.position());
  GEMMA_ASSIGN_OR_RETURN(const absl::Span<const float> logits,
                         session_.Forward(rest));
  ++stats_.num_prompts;
  stats_.prompt_tokens += tokens.size();
  stats_.computed_tokens += rest.size();
  const double yes = logits[static_cast<size_t>(yes_)];
  const double no = logits[static_cast<size_t>(no_)];
  if (!std::isfinite(yes) || !std::isfinite(no)) {
    return model_.impl().WithBadWeight(
        WithReason(absl::DataLossError("the model's logits are not finite"),
                   ErrorReason::kNotFinite));
  }
  stats_.least_answer_mass =
      std::min(stats_.least_answer_mass, Mass(logits, yes, no));
  return YesAgainstNo(yes, no);
}

void Classifier::Impl::ClassifyAll(absl::Span<const ClassifierInput> inputs,
                                   absl::Span<const Policy> policies,
                                   std::vector<Result>& results) {
  std::vector<Job> jobs;
  for (size_t i = 0; i < inputs.size(); ++i) {
    absl::StatusOr<Job> job =
        NoThrow([&] { return MakeJob(inputs[i], i, policies); });
    if (job.ok()) {
      jobs.push_back(*std::move(job));
    } else {
      results[i] = job.status();
    }
  }
  // Sorting puts inputs with common beginnings next to each other.
  std::sort(jobs.begin(), jobs.end(), [](const Job& a, const Job& b) {
    return a.queries[0].tokens < b.queries[0].tokens;
  });
  absl::Status status = MakeRoom(jobs);
  const size_t total = jobs.size() * policies.size();
  for (size_t i = 0; i < jobs.size(); ++i) {
    Result& result = results[jobs[i].input];
    result = NoThrow([&]() -> Result {
      GEMMA_RETURN_IF_ERROR(status);
      return Run(jobs[i], i * policies.size(), total);
    });
    if (absl::IsCancelled(result.status())) status = result.status();
  }
}

absl::StatusOr<Classifier> Classifier::Create(const Model& model,
                                              ClassifierOptions options) {
  return NoThrow([&]() -> absl::StatusOr<Classifier> {
    GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, model.tokenizer());
    GEMMA_ASSIGN_OR_RETURN(const ShieldPrompt prompt,
                           ShieldPrompt::Create(*tokenizer, options.wording));
    constexpr std::string_view kPurpose = "the answers Yes and No as one token";
    GEMMA_ASSIGN_OR_RETURN(const TokenId yes,
                           RequireToken(*tokenizer, "Yes", kPurpose));
    GEMMA_ASSIGN_OR_RETURN(const TokenId no,
                           RequireToken(*tokenizer, "No", kPurpose));
    GEMMA_ASSIGN_OR_RETURN(Session session,
                           Impl::NewSession(model, options, kFirstTokens));
    return Classifier(std::make_unique<Impl>(model, std::move(options), prompt,
                                             yes, no, std::move(session)));
  });
}

Classifier::Classifier(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Classifier::~Classifier() = default;
Classifier::Classifier(Classifier&&) noexcept = default;
Classifier& Classifier::operator=(Classifier&&) noexcept = default;

absl::StatusOr<std::vector<double>> Classifier::Classify(
    const ClassifierInput& input, absl::Span<const Policy> policies) {
  std::vector<Result> results = ClassifyAll({&input, 1}, policies);
  if (results.empty())
    return StatusOf(absl::StatusCode::kResourceExhausted, "out of memory");
  return std::move(results[0]);
}

std::vector<absl::StatusOr<std::vector<double>>> Classifier::ClassifyAll(
    absl::Span<const ClassifierInput> inputs,
    absl::Span<const Policy> policies) {
  std::vector<Result> results;
  const absl::Status status = NoThrow([&] {
    results.assign(inputs.size(), std::vector<double>());
    impl_->ClassifyAll(inputs, policies, results);
    return absl::OkStatus();
  });
  if (status.ok()) return results;
  for (Result& result : results) result = status;
  return results;
}

absl::StatusOr<std::vector<Request>> Classifier::Requests(
    const ClassifierInput& input, absl::Span<const Policy> policies) const {
  return NoThrow([&] { return impl_->Requests(input, policies); });
}

absl::StatusOr<ClassifierAnswer> Classifier::AnswerOf(
    const Completion& completion) {
  return NoThrow([&] { return ReadAnswer(completion); });
}

absl::StatusOr<std::vector<TokenId>> Classifier::Prompt(
    const ClassifierInput& input, const Policy& policy) const {
  return NoThrow([&] { return impl_->Prompt(input, policy); });
}

const ClassifierStats& Classifier::stats() const { return impl_->stats(); }

}  // namespace gemma
