// Implements gemma/c_classifier.h.

#include "gemma/c_classifier.h"

#include <limits>
#include <memory>
#include <utility>

#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_ticket.h"
#include "src/c_api/c_values.h"

struct gemma_policies {
  std::vector<gemma::Policy> policies;
  std::vector<gemma_policy> items = {};  // of `policies`
};

struct gemma_classifier {
  gemma::Model model;
  gemma::Classifier classifier;
};

namespace gemma::internal {
namespace {

std::unique_ptr<gemma_policies> PoliciesOf(std::vector<Policy> policies) {
  auto list = std::make_unique<gemma_policies>(std::move(policies));
  for (const Policy& policy : list->policies) {
    list->items.push_back({.name = policy.name.c_str(),
                           .title = policy.title.c_str(),
                           .prompt_rule = policy.prompt_rule.c_str(),
                           .response_rule = policy.response_rule.c_str()});
  }
  return list;
}

absl::Status ReadPolicies(const gemma_policy* from, size_t count,
                          std::vector<Policy>& to) {
  if (count != 0 && from == nullptr) return NullError("policies");
  for (size_t i = 0; i < count; ++i) {
    const std::string place = absl::StrCat("policies[", i, "]");
    if (from[i].name == nullptr) return NullError(place + ".name");
    if (from[i].title == nullptr) return NullError(place + ".title");
    to.push_back({.name = from[i].name,
                  .title = from[i].title,
                  .prompt_rule = TextOrEmpty(from[i].prompt_rule),
                  .response_rule = TextOrEmpty(from[i].response_rule)});
  }
  return absl::OkStatus();
}

// `place` begins messages.
absl::Status ReadInput(const gemma_classifier_input& from,
                       std::string_view place, ClassifierInput& to) {
  const auto& [text, response] = from;
  if (text.text == nullptr && text.size != 0) {
    return NullError(absl::StrCat(place, ".text.text"));
  }
  if (response.text == nullptr && response.size != 0) {
    return NullError(absl::StrCat(place, ".response.text"));
  }
  to.text = {text.text, text.size};
  if (response.text != nullptr) {
    to.response = std::string_view(response.text, response.size);
  }
  return absl::OkStatus();
}

absl::Status ReadClassifierOptions(const gemma_classifier_options* options,
                                   ClassifierOptions& to) {
  gemma_classifier_options from;
  gemma_classifier_options_init(&from, sizeof(from));
  GEMMA_RETURN_IF_ERROR(ReadSized(options, "gemma_classifier_options", from));
  GEMMA_RETURN_IF_ERROR(ReadEnum(from.wording, "wording", 2, to.wording));
  to.max_tokens = from.max_tokens;
  if (from.progress != nullptr) {
    to.progress = [call = from.progress, user = from.user](size_t done,
                                                           size_t total) {
      return call(done, total, user);
    };
  }
  return ReadCacheFormat(from.cache_format, to.cache_format);
}

}  // namespace
}  // namespace gemma::internal

using gemma::internal::Reported;

// ---- Policies

gemma_status gemma_policies_shield(gemma_policies** policies) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(policies);
    *policies = gemma::internal::PoliciesOf(gemma::ShieldPolicies()).release();
    return absl::OkStatus();
  });
}

gemma_status gemma_policies_parse(const char* json, const char* path,
                                  gemma_policies** policies) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(json);
    GEMMA_C_REQUIRE(policies);
    GEMMA_ASSIGN_OR_RETURN(
        auto parsed,
        gemma::ParsePolicies(json, path == nullptr ? "policies" : path));
    *policies = gemma::internal::PoliciesOf(std::move(parsed)).release();
    return absl::OkStatus();
  });
}

void gemma_policies_free(gemma_policies* policies) { delete policies; }

const gemma_policy* gemma_policies_items(const gemma_policies* policies,
                                         size_t* size) {
  if (size != nullptr) *size = policies == nullptr ? 0 : policies->items.size();
  return policies == nullptr ? nullptr : policies->items.data();
}

// ---- Classifiers

void gemma_classifier_options_init(gemma_classifier_options* options,
                                   size_t size) {
  const gemma::ClassifierOptions defaults;
  gemma::internal::InitSized(
      options, size,
      {.max_tokens = defaults.max_tokens,
       .wording = static_cast<gemma_shield_wording>(defaults.wording),
       .cache_format = static_cast<gemma_cache_format>(defaults.cache_format)});
}

gemma_status gemma_classifier_create(const gemma_model* model,
                                     const gemma_classifier_options* options,
                                     gemma_classifier** classifier) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(classifier);
    gemma::ClassifierOptions read;
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::ReadClassifierOptions(options, read));
    GEMMA_ASSIGN_OR_RETURN(
        auto created, gemma::Classifier::Create(model->model, std::move(read)));
    *classifier = new gemma_classifier{model->model, std::move(created)};
    return absl::OkStatus();
  });
}

void gemma_classifier_free(gemma_classifier* classifier) { delete classifier; }

gemma_status gemma_classify(gemma_classifier* classifier,
                            const gemma_classifier_input* input,
                            const gemma_policy* policies, size_t num_policies,
                            double* probabilities) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(classifier);
    GEMMA_C_REQUIRE(input);
    if (num_policies != 0) GEMMA_C_REQUIRE(probabilities);
    gemma::ClassifierInput text;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadInput(*input, "input", text));
    std::vector<gemma::Policy> rules;
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::ReadPolicies(policies, num_policies, rules));
    GEMMA_ASSIGN_OR_RETURN(const auto found,
                           classifier->classifier.Classify(text, rules));
    std::copy(found.begin(), found.end(), probabilities);
    return absl::OkStatus();
  });
}

gemma_status gemma_classify_all(gemma_classifier* classifier,
                                const gemma_classifier_input* inputs,
                                size_t num_inputs, const gemma_policy* policies,
                                size_t num_policies, double* probabilities,
                                gemma_status* statuses) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(classifier);
    if (num_inputs != 0) GEMMA_C_REQUIRE(inputs);
    if (num_inputs != 0 && num_policies != 0) GEMMA_C_REQUIRE(probabilities);
    std::vector<gemma::ClassifierInput> texts(num_inputs);
    for (size_t i = 0; i < num_inputs; ++i) {
      GEMMA_RETURN_IF_ERROR(gemma::internal::ReadInput(
          inputs[i], absl::StrCat("inputs[", i, "]"), texts[i]));
    }
    std::vector<gemma::Policy> rules;
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::ReadPolicies(policies, num_policies, rules));
    const auto found = classifier->classifier.ClassifyAll(texts, rules);
    if (found.size() != num_inputs) {
      return absl::ResourceExhaustedError("out of memory");
    }
    absl::Status first;
    for (size_t i = 0; i < num_inputs; ++i) {
      double* const row = probabilities + i * num_policies;
      if (found[i].ok()) {
        std::copy(found[i]->begin(), found[i]->end(), row);
      } else {
        std::fill_n(row, num_policies,
                    std::numeric_limits<double>::quiet_NaN());
      }
      first.Update(found[i].status());
      if (statuses == nullptr) continue;
      statuses[i] = gemma::internal::CStatus(found[i].status().code());
    }
    return first;
  });
}

gemma_status gemma_classifier_prompt(const gemma_classifier* classifier,
                                     const gemma_classifier_input* input,
                                     const gemma_policy* policy,
                                     int32_t* tokens, size_t capacity,
                                     size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(classifier);
    GEMMA_C_REQUIRE(input);
    GEMMA_C_REQUIRE(policy);
    GEMMA_C_REQUIRE(size);
    gemma::ClassifierInput text;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadInput(*input, "input", text));
    std::vector<gemma::Policy> rules;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadPolicies(policy, 1, rules));
    GEMMA_ASSIGN_OR_RETURN(const auto prompt,
                           classifier->classifier.Prompt(text, rules[0]));
    return gemma::internal::Write(prompt, tokens, capacity, size);
  });
}

void gemma_classifier_stats_init(gemma_classifier_stats* stats, size_t size) {
  gemma::internal::InitSized(stats, size, {});
}

gemma_status gemma_classifier_get_stats(const gemma_classifier* classifier,
                                        gemma_classifier_stats* stats) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(classifier);
    GEMMA_C_REQUIRE(stats);
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::CheckSize(*stats, "gemma_classifier_stats"));
    const gemma::ClassifierStats& from = classifier->classifier.stats();
    gemma::internal::WriteSized({.num_prompts = from.num_prompts,
                                 .prompt_tokens = from.prompt_tokens,
                                 .computed_tokens = from.computed_tokens,
                                 .least_answer_mass = from.least_answer_mass},
                                stats);
    return absl::OkStatus();
  });
}

// ---- Classification in an engine

gemma_status gemma_classifier_submit(const gemma_classifier* classifier,
                                     gemma_engine* engine,
                                     const gemma_classifier_input* input,
                                     const gemma_policy* policies,
                                     size_t num_policies, const char* client,
                                     gemma_ticket** tickets) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(classifier);
    GEMMA_C_REQUIRE(engine);
    GEMMA_C_REQUIRE(input);
    if (num_policies != 0) GEMMA_C_REQUIRE(tickets);
    if (!gemma::internal::IsSame(engine->model, classifier->model)) {
      return absl::InvalidArgumentError(
          "engine computes another model, wanted the classifier's");
    }
    gemma::ClassifierInput text;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadInput(*input, "input", text));
    std::vector<gemma::Policy> rules;
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::ReadPolicies(policies, num_policies, rules));
    GEMMA_ASSIGN_OR_RETURN(auto requests,
                           classifier->classifier.Requests(text, rules));
    std::vector<std::unique_ptr<gemma_ticket>> made;
    for (gemma::Request& request : requests) {
      request.client = gemma::internal::TextOrEmpty(client);
      made.push_back(std::make_unique<gemma_ticket>());
      GEMMA_ASSIGN_OR_RETURN(auto submitted,
                             engine->engine.Submit(std::move(request)));
      made.back()->ticket.emplace(std::move(submitted));
    }
    for (auto& ticket : made) *tickets++ = ticket.release();
    return absl::OkStatus();
  });
}

gemma_status gemma_ticket_classification(const gemma_ticket* ticket,
                                         double* probability,
                                         double* answer_mass) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(ticket);
    GEMMA_C_REQUIRE(probability);
    const auto& done = ticket->ticket->Wait();
    GEMMA_RETURN_IF_ERROR(done.status());
    GEMMA_ASSIGN_OR_RETURN(const gemma::ClassifierAnswer answer,
                           gemma::Classifier::AnswerOf(*done));
    *probability = answer.probability;
    if (answer_mass != nullptr) *answer_mass = answer.answer_mass;
    return absl::OkStatus();
  });
}
