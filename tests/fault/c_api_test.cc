// Allocations that fail while a program in C uses the library.

#include "gemma/c_api.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/classify/shield_toy.h"
#include "tests/fault/fault_toys.h"
#include "tests/fault/faults.h"
#include "tests/support/tiny_files.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

absl::Status CppStatus(gemma_status status) {
  if (status == GEMMA_OK) return absl::OkStatus();
  return {static_cast<absl::StatusCode>(status), gemma_last_error()};
}

// A small model in C, loaded as FaultOptions say.
class CFaults : public ::testing::Test {
 protected:
  CFaults() {
    gemma_load_options options;
    gemma_load_options_init(&options, sizeof(options));
    options.num_threads = FaultOptions().num_threads;
    options.prefill_chunk = FaultOptions().prefill_chunk;
    const std::string path = WriteFaultGguf(TestDirectory(), "gemma3");
    EXPECT_EQ(gemma_model_load(path.c_str(), &options, &model_), GEMMA_OK);
  }
  ~CFaults() override { gemma_model_free(model_); }

  gemma_model* model_ = nullptr;
};

constexpr gemma_logit_bias kFaultBias[] = {{105, 1.0f}};
constexpr const char* kFaultStops[] = {"never in this answer"};
constexpr const char* kFaultRegex[] = {"(ab|cd)+[0-9]{2,4}"};

// Answers with options that need memory.
gemma_generate_options FaultAnswer() {
  gemma_generate_options options;
  gemma_generate_options_init(&options, sizeof(options));
  options.max_new_tokens = 6;
  options.logit_bias = kFaultBias;
  options.num_logit_bias = 1;
  options.stop_strings = kFaultStops;
  options.num_stop_strings = 1;
  options.grammar = GEMMA_GRAMMAR_REGEX;
  options.grammar_texts = kFaultRegex;
  options.num_grammar_texts = 1;
  options.num_alternatives = 2;
  options.on_token = [](const gemma_scored_token*, void*) {};
  return options;
}

TEST_F(CFaults, Answers) {
  gemma_generate_options options = FaultAnswer();
  SweepMemory([&](Injector& faults) -> absl::Status {
    gemma_session* session = nullptr;
    gemma_answer* answer = nullptr;
    const gemma_status status = faults([&] {
      gemma_status made = gemma_session_create(model_, nullptr, &session);
      if (made == GEMMA_OK) made = gemma_answer_create(model_, &answer);
      options.answer = answer;
      if (made != GEMMA_OK) return made;
      return gemma_generate(session, kFaultTokens.data(), kFaultTokens.size(),
                            &options, nullptr, nullptr, nullptr);
    });
    gemma_answer_free(answer);
    gemma_session_free(session);
    return CppStatus(status);
  });
}

TEST_F(CFaults, Requests) {
  gemma_engine_options limits;
  gemma_engine_options_init(&limits, sizeof(limits));
  limits.max_tokens = 32;
  limits.max_sequences = 2;
  const gemma_generate_options options = FaultAnswer();
  gemma_request request;
  gemma_request_init(&request, sizeof(request));
  request.prompt = kFaultTokens.data();
  request.prompt_size = kFaultTokens.size();
  request.options = &options;
  request.client = "a client whose name needs memory of its own";
  int calls = 0;
  request.user = &calls;
  request.on_done = [](gemma_status status, const gemma_completion* completion,
                       void* user) {
    ++*static_cast<int*>(user);
    EXPECT_EQ(status == GEMMA_OK, completion != nullptr);
  };
  SweepMemory([&](Injector& faults) -> absl::Status {
    calls = 0;
    gemma_engine* engine = nullptr;
    gemma_ticket* ticket = nullptr;
    const gemma_status status = faults([&] {
      gemma_status made = gemma_engine_create(model_, &limits, &engine);
      if (made == GEMMA_OK) {
        made = gemma_engine_submit(engine, &request, &ticket);
      }
      if (made == GEMMA_OK) made = gemma_ticket_wait(ticket, nullptr);
      return made;
    });
    EXPECT_EQ(calls, ticket != nullptr ? 1 : 0);
    gemma_ticket_free(ticket);
    gemma_engine_free(engine);
    return CppStatus(status);
  });
}

TEST_F(CFaults, Scores) {
  const std::vector<TokenId> tokens = {260, 7, 124};
  const gemma_tokens choices[] = {{tokens.data(), 2}, {tokens.data() + 2, 1}};
  SweepMemory([&](Injector& faults) -> absl::Status {
    gemma_session* session = nullptr;
    EXPECT_EQ(gemma_session_create(model_, nullptr, &session), GEMMA_OK);
    double scores[2], token_scores[3];
    bool is_greedy[2];
    const gemma_status status = faults([&] {
      return gemma_score(session, kFaultTokens.data(), kFaultTokens.size(),
                         choices, 2, scores, token_scores, is_greedy);
    });
    gemma_session_free(session);
    return CppStatus(status);
  });
}

TEST(CTaskFaults, Classifications) {
  gemma_load_options load;
  gemma_load_options_init(&load, sizeof(load));
  load.num_threads = kToyThreads;
  gemma_model* model = nullptr;
  ASSERT_EQ(gemma_model_load(ShieldFile("shield.gguf").c_str(), &load, &model),
            GEMMA_OK);
  const gemma_classifier_input input = {{"hello", 5}, {nullptr, 0}};
  SweepMemory([&](Injector& faults) -> absl::Status {
    gemma_classifier* classifier = nullptr;
    gemma_policies* policies = nullptr;
    double probabilities[2];
    const gemma_status status = faults([&] {
      gemma_status made = gemma_policies_shield(&policies);
      if (made == GEMMA_OK) {
        made = gemma_classifier_create(model, nullptr, &classifier);
      }
      if (made != GEMMA_OK) return made;
      return gemma_classify(classifier, &input,
                            gemma_policies_items(policies, nullptr), 2,
                            probabilities);
    });
    gemma_policies_free(policies);
    gemma_classifier_free(classifier);
    return CppStatus(status);
  });
  gemma_model_free(model);
}

}  // namespace
}  // namespace gemma::internal
