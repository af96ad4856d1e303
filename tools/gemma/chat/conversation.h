// The turns of a chat, and the session that has read them.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_CONVERSATION_H_
#define GEMMA_TOOLS_GEMMA_CHAT_CONVERSATION_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/gemma.h"
#include "tools/gemma/answer/answer.h"
#include "tools/gemma/answer/answer_options.h"

namespace gemma::tools {

// Calls of tools, and their results: text, or a JSON object. The results are in
// the order of the calls; those that are still missing have no value.
struct ToolStep {
  std::vector<ToolCall> calls;
  std::vector<std::optional<std::string>> results;
  // What the model thought before the calls. It reads this again until the turn
  // ends; it is never saved.
  std::string thoughts = {};

  // The first call without a result, or null.
  const ToolCall* Waiting() const;
};

// A message and its answer.
struct Turn {
  std::string message;
  std::string answer;
  std::vector<ToolStep> steps = {};  // before the answer

  // The call whose result the model waits for before it answers.
  const ToolCall* Waiting() const {
    return steps.empty() ? nullptr : steps.back().Waiting();
  }
};

// How to handle a message that does not fit in the context.
enum class ContextPolicy { kError, kDropOldestTurns };

// Tokens of a conversation.
struct ContextUse {
  size_t capacity = 0;        // of the context
  bool is_limited = true;     // false: the model's sequences may grow forever
  size_t used = 0;            // by all turns
  size_t unread = 0;          // part of `used` to read with the next message
  std::vector<size_t> turns;  // by each; the first includes the system message

  size_t left() const { return capacity > used ? capacity - used : 0; }
};

struct Reply {
  GenerateStats stats;       // the prompt is everything that had to be read
  SamplingOptions sampling;  // with the answer's own seed
  size_t dropped_turns = 0;  // oldest turns dropped to make room
};

// Messages, answers, and the session that has read them. To go back, the
// session rewinds to the checkpoint at the end of an earlier turn, and reads
// nothing again. It does so when the next message comes, once for any number of
// turns. If the chat template changes earlier turns when others follow, the
// session goes back to the first changed token and reads the rest anew.
class Conversation {
 public:
  // Appends the prompt to the session and answers, like StreamAnswer. The
  // prompt has the turns that are not read yet, then `message`. `options` has a
  // checkpoint at the end of each of these turns.
  using Answerer = std::function<absl::StatusOr<Answer>(
      Session& session, absl::Span<const TokenId> prompt,
      std::string_view message, const AnswerOptions& options)>;

  // `session` must be empty. Fails if the template makes no turns of a message
  // and its answer, or has no words for `options`.
  static absl::StatusOr<Conversation> Create(Session session,
                                             ChatTemplate chat_template,
                                             ContextPolicy policy,
                                             Answerer answerer,
                                             const ChatOptions& options = {});

  // Answers a message. The seed of an answer is that of `options` plus the
  // number of answers before, since RestartSeeds if that was called, so each
  // answer has a different one. A cancelled answer stays, as far as it came. On
  // failure, no turn is added or dropped: OutOfRange if the message does not
  // fit, InterruptedError if the prompt was interrupted. FailedPrecondition if
  // the model waits for the result of a tool.
  absl::StatusOr<Reply> Ask(std::string_view message,
                            const AnswerOptions& options);

  // Gives the result of a tool that the last answer calls: of the first call of
  // this name without a result. After the last result, the model goes on, as in
  // Ask; else nothing is read yet, and the reply has no value. On failure, the
  // result is not kept. FailedPrecondition if the model waits for no such
  // result.
  absl::StatusOr<std::optional<Reply>> GiveResult(std::string_view tool,
                                                  std::string_view result,
                                                  const AnswerOptions& options);

  // Answers the last message again, with a new seed. On failure, the old answer
  // stays. FailedPrecondition if there is no turn.
  absl::StatusOr<Reply> AskAgain(const AnswerOptions& options);

  // Removes and returns the last turn. FailedPrecondition if there is no turn.
  absl::StatusOr<Turn> Undo();

  // Gives the next answer the seed of its options, as if it were the first.
  void RestartSeeds() { num_answers_ = 0; }

  // Forgets everything except the system message.
  void Clear();

  // Keeps the turns; the session reads them again with the next message.
  void SetSystem(std::string_view text);

  // Turns thinking on or off, or fails if the template cannot. The session
  // reads the turns again with the next message.
  absl::Status SetThinking(bool thinking);
  bool thinks() const { return options_.thinking.value_or(false); }

  // Replaces the system message and all turns; the session reads them with the
  // next message. OutOfRange if they do not fit and the policy drops no turns;
  // nothing changes then.
  absl::Status Replace(std::string_view system, std::vector<Turn> turns);

  // Goes on with an empty session of the same model, which reads all turns with
  // the next message.
  void ReplaceSession(Session session);

  // Goes on with an empty session of another model, which reads all turns with
  // the next message, in the turns of `chat_template`. Fails if that makes no
  // turns, has no words for the options, or, if the policy drops no turns, if
  // they do not fit; nothing changes then.
  absl::Status ReplaceModel(Session session, ChatTemplate chat_template);

  void set_policy(ContextPolicy policy) { policy_ = policy; }
  ContextPolicy policy() const { return policy_; }

  const std::string& system() const { return system_; }
  const std::vector<Turn>& turns() const { return turns_; }

  absl::StatusOr<ContextUse> Use() const;
  // OutOfRange if the context is full and the policy drops no turns.
  absl::Status CheckRoom() const;
  // OutOfRange if the next message has no room for `num_tokens` besides its
  // own: among the turns, or without them if the policy drops them. The error
  // begins with `what`.
  absl::Status CheckRoomFor(std::string_view what, size_t num_tokens) const;

  const Session& session() const { return session_; }

 private:
  // The tokens that the session reads next.
  struct Prompt {
    size_t begin = 0;  // the session's position before it reads them
    std::vector<TokenId> tokens;
    // Positions in the session where earlier turns end. The first ones are read
    // already: `begin` is not before them.
    std::vector<size_t> ends;
    // Whether the template has changed turns that the session has read.
    bool has_changes = false;
  };

  Conversation(Session session, ChatTemplate chat_template,
               ContextPolicy policy, Answerer answerer,
               const ChatOptions& options);

  // OK if the template makes turns of a chat with these options.
  absl::Status CheckTurns(const ChatOptions& options) const;
  // OutOfRange if the turns do not fit and the policy drops none. `are_new`:
  // they are not yet those of the chat, which goes on without them.
  absl::Status CheckTurnsFit(bool are_new) const;

  // Number of positions of the session, used and free.
  size_t capacity() const;
  // End of the turns that were read. The session may have later tokens.
  size_t read_position() const { return ends_.empty() ? 0 : ends_.back(); }
  // Number of tokens to keep free for an answer.
  size_t Reserve(const AnswerOptions& options) const;

  // Renders the turns from `first` on and a turn without an answer, of which
  // the session has read `num_read` turns.
  absl::StatusOr<Prompt> Render(size_t first, size_t num_read,
                                const Turn& next) const;
  // Renders the turns that are not read yet, and a turn.
  absl::StatusOr<Prompt> RenderUnread(const Turn& next) const;
  // Makes a prompt of all tokens of the chat continue the session as far as it
  // has the same tokens.
  void KeepCommonTokens(Prompt& prompt) const;

  // The prompt for a turn. May move the oldest turns to `dropped`.
  absl::StatusOr<Prompt> MakeRoom(const Turn& next,
                                  const AnswerOptions& options,
                                  std::vector<Turn>* dropped);
  absl::StatusOr<Prompt> DropOldestTurns(const Turn& next, size_t reserve,
                                         std::vector<Turn>* dropped);

  // Makes room for a turn and adds it with its answer to `last_text`, which a
  // guard judges. Restores dropped turns on failure.
  absl::StatusOr<Reply> Continue(Turn next, std::string_view last_text,
                                 const AnswerOptions& options);
  // Reads the prompt and adds the turn with its answer, or with the calls that
  // the model makes instead. On failure, keeps the turns that were read.
  absl::StatusOr<Reply> AnswerTo(Turn next, std::string_view last_text,
                                 const Prompt& prompt,
                                 const AnswerOptions& options);

  Session session_;
  ChatTemplate chat_template_;
  ContextPolicy policy_;
  Answerer answerer_;

  std::string system_;
  std::vector<Turn> turns_;
  std::vector<size_t> ends_;  // end positions of the turns that were read
  size_t num_answers_ = 0;    // with the seed, including those taken back
  // In any prompt (see Prompt), or because an answer had thoughts or calls.
  bool has_changes_ = false;
  ChatOptions options_;
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_CONVERSATION_H_
