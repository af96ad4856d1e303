// The answers of a request, from the engine to the response.

#ifndef GEMMA_SRC_SERVE_ANSWER_GENERATION_H_
#define GEMMA_SRC_SERVE_ANSWER_GENERATION_H_

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "gemma/answer_parser.h"
#include "gemma/engine.h"
#include "src/generate/stop_filter.h"
#include "src/serve/answer/answer_writer.h"
#include "src/serve/exchange_state.h"
#include "src/serve/request/answer_fields.h"
#include "src/serve/served.h"

namespace gemma::internal {

// What a request asks of an engine.
struct Asked {
  AnswerFields fields;
  // Each prompt has fields.n answers: choice i answers prompt i / n.
  std::vector<std::vector<TokenId>> prompts;
  // The writer also gets the prompts' tokens, and the stop token at the end.
  bool scores_prompt = false;
  // Answers are taken apart, see AnswerParser, and stop strings match only the
  // text, not thoughts or calls.
  bool has_thoughts = false;
  // The dialect of the grammar, if it is one of tools: calls are passed on in
  // pieces.
  ToolDialect dialect = ToolDialect::kNone;
  // The text of the only prompt; see TokenMemory, which then keeps the answers.
  std::optional<std::string> remembered_text;
  std::string client;
  Admission::Place place;  // of the choices
  std::optional<std::chrono::steady_clock::time_point> deadline;
  TapFunction tap;  // steers each answer; may be empty
};

// Gives each choice to the engine as a request, and what comes to the writer,
// on the engine's thread. Lives until all choices have ended.
class Generation : public std::enable_shared_from_this<Generation> {
 public:
  // Begins the answers. The error of a prompt that does not fit has the code
  // context_length_exceeded. If there is an error, it is the response, and the
  // writer writes nothing that reaches the reader. `param`: the field of the
  // request that has the prompts.
  static absl::Status Start(std::shared_ptr<Served> served, Asked asked,
                            std::shared_ptr<Exchange::State> out,
                            std::unique_ptr<AnswerWriter> writer,
                            std::string_view param);

  // Internal: use Start.
  Generation(std::shared_ptr<Served> served, Asked asked,
             std::shared_ptr<Exchange::State> out,
             std::unique_ptr<AnswerWriter> writer);

 private:
  struct Choice {
    std::optional<AnswerParser> parser;
    std::optional<StopFilter> stop;  // of a text without thoughts and calls
    size_t num_tokens = 0;           // counted where min_new_tokens needs it
    std::optional<Ticket> ticket;
    bool ended = false;
    size_t prompt_tokens = 0;  // read
    size_t reused_tokens = 0;
  };

  // Makes the parser of a choice.
  void Parse(size_t choice);
  // An error names the place of its prompt, of several in `param`.
  absl::Status SubmitAll(std::string_view param);
  Request RequestOf(size_t choice);
  void OnDone(size_t choice, const absl::StatusOr<Completion>& result);
  // Passes on what is left of a choice that has ended. Corrects the reason.
  static void TakeEnd(Choice& choice, StopReason& reason);
  // Writes the end of a choice, unless the response has failed.
  absl::Status OnAnswer(size_t choice, const Completion& answer);
  // Fails if the writer holds more than a response may have.
  void CheckSize();
  // Ends the response with an error, and cancels the other choices.
  void Fail(const absl::Status& error);
  Usage TotalUsage() const;

  const std::shared_ptr<Served> served_;
  Asked asked_;
  const std::shared_ptr<Exchange::State> out_;
  const std::unique_ptr<AnswerWriter> writer_;
  const std::chrono::steady_clock::time_point begin_;

  // What StopFilter refers to.
  const std::vector<std::string> stops_;
  std::vector<StopFilter::TextFunction> on_texts_;

  std::mutex mutex_;             // guards Choice::ticket and Choice::ended
  std::vector<Choice> choices_;  // the rest is used by the engine's thread
  size_t num_ended_ = 0;
  size_t new_tokens_ = 0;
  size_t thought_tokens_ = 0;  // of them, those of thoughts
  bool failed_ = false;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_ANSWER_GENERATION_H_
