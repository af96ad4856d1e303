// The options of an answer, read from C's.

#ifndef GEMMA_SRC_C_API_C_ANSWER_OPTIONS_H_
#define GEMMA_SRC_C_API_C_ANSWER_OPTIONS_H_

#include <atomic>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "gemma/gemma.h"
#include "src/c_api/c_values.h"

struct gemma_cancellation {
  std::atomic<bool> cancelled = false;
};

namespace gemma::internal {

// What gemma_generate and gemma_engine_submit read of a caller: options whose
// functions call those of the caller. Must outlive the answer; `cancellation`
// and `answer` of the caller must, too.
class AnswerOptions {
 public:
  AnswerOptions() = default;
  AnswerOptions(const AnswerOptions&) = delete;
  AnswerOptions& operator=(const AnswerOptions&) = delete;

  // Reads the options for a model. from: null for the defaults.
  absl::Status Read(const gemma_generate_options* from, const Model& model,
                    gemma_text_callback on_text, void* user);

  const GenerateOptions& options() const { return options_; }
  // Returns the function for the answer's text, never empty.
  const std::function<bool(std::string_view)>& on_text() const {
    return take_text_;
  }
  void* user() const { return user_; }

  // Gives the parts of a whole answer to the caller's gemma_answer, if any.
  // Fails if memory runs out.
  absl::Status Finish();
  // Returns the result of Finish, or OK before it.
  const absl::Status& finished() const { return finished_; }

  // Lets functions of the caller wait from Hold on until Open.
  void Hold() { held_ = true; }
  void Open() {
    held_ = false;
    held_.notify_all();
  }
  // Called before each function of the caller.
  void Enter() const { held_.wait(true); }

 private:
  absl::Status ReadStops(const gemma_generate_options& from);
  absl::Status ReadSampling(const gemma_generate_options& from);
  absl::Status ReadGrammar(const gemma_generate_options& from);
  // Sets the functions that need neither text nor parts.
  void ConnectCalls(const gemma_generate_options& from);
  absl::Status ConnectParts(const gemma_generate_options& from,
                            const Model& model, gemma_text_callback on_text);
  // Gives a text to a function of the caller, which may be null.
  void Give(gemma_text_callback function, std::string_view text);
  void GiveToken(void (*function)(const gemma_scored_token*, void*),
                 const ScoredToken& token);

  GenerateOptions options_;
  std::function<bool(std::string_view)> take_text_;
  std::optional<Grammar> grammar_;  // that options_ points to
  gemma_answer* answer_ = nullptr;
  std::optional<AnswerParser> parser_;                 // if there is an answer_
  std::vector<gemma_token_probability> alternatives_;  // of the last token
  void* user_ = nullptr;
  absl::Status finished_;
  bool goes_on_ = true;  // whether no function of the caller returned false
  std::atomic<bool> held_ = false;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_C_API_C_ANSWER_OPTIONS_H_
