// A line of a batch: what is asked, and how it shall be answered.

#ifndef GEMMA_TOOLS_GEMMA_ANSWER_BATCH_REQUEST_H_
#define GEMMA_TOOLS_GEMMA_ANSWER_BATCH_REQUEST_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gemma/gemma.h"
#include "tools/gemma/answer/answer_options.h"

namespace gemma::tools {

struct BatchRequest {
  std::string id;  // as JSON; empty: it has none
  std::string prompt;
  std::string system;
  std::vector<Message> messages;  // instead of the two above, if there are any
  AnswerOptions options;
};

// Reads a line, which is not trusted: a JSON string, which is the prompt, or an
// object with
//   id         a text or a number, optional
//   prompt     a text
//   system     a text, optional; that of `defaults` otherwise
//   messages   instead of both: [{"role", "content"}], the roles being system,
//              user and assistant (or model); without a system message, that of
//              `defaults` comes first
// and options of `gemma run` that concern the answer, by the names of the flags
// with "_" for "-"; those that may be repeated take an array, too. Others are
// those of `defaults`. Sets request->id also if it fails later on.
absl::Status ParseBatchRequest(std::string_view line,
                               const BatchRequest& defaults,
                               BatchRequest* request);

// What the model is asked: the prompt, or the last message.
std::string PromptText(const BatchRequest& request);

// The request's tokens. A prompt without messages is a chat turn if `chat`.
absl::StatusOr<std::vector<TokenId>> PromptTokens(const Model& model,
                                                  const BatchRequest& request,
                                                  bool chat);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_ANSWER_BATCH_REQUEST_H_
