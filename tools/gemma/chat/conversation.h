// What was said, and the session that has read it.

#ifndef GEMMA_TOOLS_GEMMA_CHAT_CONVERSATION_H_
#define GEMMA_TOOLS_GEMMA_CHAT_CONVERSATION_H_

#include <cstddef>
#include <functional>
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

// A message and its answer.
struct Turn {
  std::string message;
  std::string answer;
};

// What happens to a message that does not fit in the context.
enum class ContextPolicy { kError, kDropOldestTurns };

// Tokens of a conversation.
struct ContextUse {
  size_t capacity = 0;        // of the context
  bool is_limited = true;     // false: sequences of the model may grow on
  size_t used = 0;            // by all turns
  size_t unread = 0;          // of them: read with the next message
  std::vector<size_t> turns;  // of each; the system message counts to the first

  size_t left() const { return capacity > used ? capacity - used : 0; }
};

struct Reply {
  GenerateStats stats;       // the prompt is all that had to be read
  size_t dropped_turns = 0;  // the oldest, to make room
};

// Messages, answers, and a session. What the session has read of them stays
// there: going back is free, or begins at the checkpoint that every turn ends
// with. It happens when the next message comes, once for any number of turns.
class Conversation {
 public:
  // Appends the prompt to the session and answers, as StreamAnswer does. The
  // prompt ends with `message`, after turns that are not read yet; `options`
  // has a checkpoint at the end of each.
  using Answerer = std::function<absl::StatusOr<Answer>(
      Session& session, absl::Span<const TokenId> prompt,
      std::string_view message, const AnswerOptions& options)>;

  // `session` is empty. Fails if the tokenizer does.
  static absl::StatusOr<Conversation> Create(Session session,
                                             ChatTemplate chat_template,
                                             ContextPolicy policy,
                                             Answerer answerer);

  // Answers a message. Every answer has dice of its own, given by the seed and
  // the number of answers before. An answer that was cancelled stays, as far as
  // it came. If this fails, the turn has not happened, and none was dropped:
  // OutOfRange if it does not fit, InterruptedError while the prompt is read.
  absl::StatusOr<Reply> Ask(std::string_view message,
                            const AnswerOptions& options);

  // Answers the last message again, with other dice. If this fails, the old
  // answer stays. FailedPrecondition if there is none.
  absl::StatusOr<Reply> AskAgain(const AnswerOptions& options);

  // Forgets the last turn and returns it. FailedPrecondition if there is none.
  absl::StatusOr<Turn> Undo();

  // Forgets all but the system message.
  void Clear();

  // The turns stay; the session reads them again with the next message.
  void SetSystem(std::string_view text);

  // Puts other turns in place of all, to be read with the next message.
  // OutOfRange, and nothing changes, if they do not fit and none may be
  // dropped.
  absl::Status Replace(std::string_view system, std::vector<Turn> turns);

  const std::string& system() const { return system_; }
  const std::vector<Turn>& turns() const { return turns_; }

  absl::StatusOr<ContextUse> Use() const;
  // OK, or OutOfRange: there is no room for another turn, and none will be
  // made.
  absl::Status CheckRoom() const;

  const Session& session() const { return session_; }

 private:
  // What the session has to read next.
  struct Prompt {
    std::vector<TokenId> tokens;
    std::vector<size_t> turn_ends;  // where in `tokens` earlier turns end
  };

  Conversation(Session session, ChatTemplate chat_template,
               ContextPolicy policy, Answerer answerer,
               std::vector<TokenId> closing);

  // Positions of the session in all.
  size_t capacity() const;
  // Where what was read ends. The session may be farther.
  size_t read_position() const { return ends_.empty() ? 0 : ends_.back(); }
  // Tokens that an answer shall have room for.
  size_t Reserve(const AnswerOptions& options) const;

  // The turns from `first` on and a message, in front of them the system
  // message if `anew`, else what closes the answer before.
  absl::StatusOr<Prompt> Render(size_t first, bool anew,
                                std::string_view message) const;
  // The same for all that is unread.
  absl::StatusOr<Prompt> RenderUnread(std::string_view message) const;

  // The prompt of a message; may move turns to `dropped`.
  absl::StatusOr<Prompt> MakeRoom(std::string_view message,
                                  const AnswerOptions& options,
                                  std::vector<Turn>* dropped);
  absl::StatusOr<Prompt> DropOldestTurns(std::string_view message,
                                         size_t reserve,
                                         std::vector<Turn>* dropped);

  // Reads the prompt and adds a turn. If this fails, turns that were read stay.
  absl::StatusOr<Reply> AnswerTo(std::string_view message, const Prompt& prompt,
                                 const AnswerOptions& options);

  Session session_;
  ChatTemplate chat_template_;
  ContextPolicy policy_;
  Answerer answerer_;
  std::vector<TokenId> closing_;  // of an answer: <end_of_turn>\n

  std::string system_;
  std::vector<Turn> turns_;
  std::vector<size_t> ends_;  // positions where the turns end that were read
  size_t num_answers_ = 0;    // given in all, taken back or not
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_CHAT_CONVERSATION_H_
