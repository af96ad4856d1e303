// The options of `gemma run`, and which exclude each other.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_RUN_OPTIONS_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_RUN_OPTIONS_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "tools/gemma/answer/answer.h"
#include "tools/gemma/answer/answer_options.h"
#include "tools/gemma/answer/batch.h"
#include "tools/gemma/answer/fill.h"
#include "tools/gemma/answer/guard.h"
#include "tools/gemma/answer/prompt_source.h"
#include "tools/gemma/answer/steering.h"
#include "tools/gemma/answer/turn_options.h"
#include "tools/gemma/cli/grammar_options.h"
#include "tools/gemma/cli/model_options.h"

namespace gemma::tools {

struct RunOptions {
  ModelOptions model;
  AnswerOptions answer;
  BatchOptions batch;  // used if its input is not empty
  FillOptions fill;
  GuardOptions guard;
  GrammarOptions grammar;
  SteeringOptions steering;
  TurnOptions turns;
  std::string format = "text";
  WantedScores wanted;
  size_t num_alternatives = 0;  // value of --logprobs, if given
  bool lists_tokens = false;
  PromptSource prompt;
  std::string system;
  bool chat = false;
  bool raw = false;
  bool parse_control = false;
  bool verbose = false;
  bool force = false;
};

// An error if options contradict each other, or if the value of one is wrong.
absl::Status CheckRun(const RunOptions& options);

// Returns whether an option reads standard input, so that the prompt does not.
bool TakesStdin(const RunOptions& options);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_RUN_OPTIONS_H_
