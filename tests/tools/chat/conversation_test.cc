// Conversations with a toy model whose answers make no sense.

#include "tools/gemma/chat/conversation.h"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tests/support/error_of.h"
#include "tests/support/mixed_model.h"
#include "tests/support/toy_models.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<TokenId> Join(std::vector<TokenId> a,
                          const std::vector<TokenId>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Whether there are no blanks around the text.
bool IsTrimmed(std::string_view text) {
  return absl::StripAsciiWhitespace(text).size() == text.size();
}

// The prompts of the model, and the number of tokens that it computed.
struct Log {
  std::vector<std::vector<TokenId>> prompts;
  std::vector<std::string> messages;  // the last of each prompt
  std::vector<uint64_t> seeds;
  size_t computed = 0;
  absl::Status failure;     // of the next answer, after its prompt is read
  size_t cancel_after = 0;  // number of turns and tokens; 0: never
};

absl::StatusOr<Answer> Speak(Log& log, Session& session,
                             absl::Span<const TokenId> prompt,
                             const AnswerOptions& options) {
  log.prompts.emplace_back(prompt.begin(), prompt.end());
  log.seeds.push_back(options.sampling.seed);
  if (!log.failure.ok()) {
    GEMMA_RETURN_IF_ERROR(session.Append(prompt));
    return std::exchange(log.failure, absl::OkStatus());
  }
  GenerateOptions generate;
  generate.max_new_tokens = options.max_tokens;
  generate.sampling = options.sampling;
  generate.checkpoints = options.checkpoints;
  size_t asked = 0;  // after each turn of the prompt, then after each token
  generate.cancelled = [&] {
    return log.cancel_after != 0 && ++asked > log.cancel_after;
  };
  Answer answer;
  GEMMA_ASSIGN_OR_RETURN(answer.stats, Generate(session, prompt, generate,
                                                [&](std::string_view text) {
                                                  answer.text += text;
                                                  return true;
                                                }));
  if (answer.stats.prompt_tokens < prompt.size()) return InterruptedError();
  return answer;
}

class ConversationTest : public MixedModelTest {
 protected:
  ConversationTest() {
    greedy_.sampling.temperature = 0;
    greedy_.max_tokens = 6;
  }

  const ChatTemplate& turns() const { return turns_; }

  // Gives new conversations the turns of a template in Jinja.
  void UseTemplate(std::string_view text) {
    auto turns = ChatTemplate::FromJinja(**model_->tokenizer(), text, "jinja");
    ASSERT_EQ(ErrorOf(turns), "OK");
    turns_ = *std::move(turns);
  }

  // The beginning of the session's tokens.
  static std::vector<TokenId> First(const Conversation& chat, size_t count) {
    std::vector<TokenId> tokens = TokensOf(chat.session());
    tokens.resize(std::min(tokens.size(), count));
    return tokens;
  }

  Conversation New(size_t max_tokens = 1024,
                   ContextPolicy policy = ContextPolicy::kError) {
    Session session =
        NewSession(*model_, {.max_tokens = max_tokens, .max_rollback = 4});
    session.SetTap([this](const TapSite& site, absl::Span<float>) {
      if (site.point == TapPoint::kMixOutput && site.layer == 0) {
        log_.computed += site.num_rows;
      }
    });
    auto conversation = Conversation::Create(
        std::move(session), turns(), policy,
        [this](Session& s, absl::Span<const TokenId> prompt,
               std::string_view message, const AnswerOptions& options) {
          log_.messages.emplace_back(message);
          return Speak(log_, s, prompt, options);
        });
    EXPECT_EQ(ErrorOf(conversation), "OK");
    return *std::move(conversation);
  }

  void Ask(Conversation& conversation, std::string_view message) {
    EXPECT_EQ(ErrorOf(conversation.Ask(message, greedy_)), "OK") << message;
  }

  ChatTemplate turns_ = *model_->chat_template();
  AnswerOptions greedy_;
  Log log_;
};

TEST_F(ConversationTest, MessageContinuesSession) {
  Conversation chat = New();
  chat.SetSystem("Be brief.");
  Ask(chat, "four");
  // Gemma's turns trim answers, which are then read again.
  ASSERT_TRUE(IsTrimmed(chat.turns()[0].answer));
  EXPECT_EQ(log_.prompts[0], *turns().UserTurn("four", "Be brief."));
  const std::vector<TokenId> first = TokensOf(chat.session());
  Ask(chat, "two");
  EXPECT_EQ(log_.prompts[1], *turns().NextUserTurn("two"));
  const std::vector<TokenId> both = TokensOf(chat.session());
  const std::vector<TokenId> expected = Join(first, log_.prompts[1]);
  ASSERT_GE(both.size(), expected.size());
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), both.begin()));
  ASSERT_EQ(chat.turns().size(), 2u);
  EXPECT_EQ(chat.turns()[1].message, "two");
  EXPECT_FALSE(chat.turns()[1].answer.empty());
}

TEST_F(ConversationTest, TrimmedAnswersAreReread) {
  Conversation chat = New();
  chat.SetSystem("Be brief.");
  Ask(chat, "one");
  const std::string answer = chat.turns()[0].answer;
  ASSERT_FALSE(IsTrimmed(answer));
  Ask(chat, "two");
  const std::vector<TokenId> whole =
      *turns().Render({{{Role::kSystem, "Be brief."},
                        {Role::kUser, "one"},
                        {Role::kModel, answer},
                        {Role::kUser, "two"}}});
  const std::vector<TokenId> read = TokensOf(chat.session());
  ASSERT_GE(read.size(), whole.size());
  EXPECT_TRUE(std::equal(whole.begin(), whole.end(), read.begin()));
}

TEST_F(ConversationTest, UndoLeavesNoTrace) {
  Conversation chat = New();
  Ask(chat, "one");
  Ask(chat, "two");
  const absl::StatusOr<Turn> undone = chat.Undo();
  ASSERT_EQ(ErrorOf(undone), "OK");
  EXPECT_EQ(undone->message, "two");
  Ask(chat, "three");
  // Only the message is read.
  EXPECT_EQ(log_.prompts.back(), *turns().NextUserTurn("three"));

  Conversation other = New();
  Ask(other, "one");
  Ask(other, "three");
  EXPECT_EQ(TokensOf(chat.session()), TokensOf(other.session()));
}

TEST_F(ConversationTest, UndoEverythingBeginsAnew) {
  Conversation chat = New();
  EXPECT_TRUE(absl::IsFailedPrecondition(chat.Undo().status()));
  chat.SetSystem("S");
  Ask(chat, "one");
  ASSERT_TRUE(chat.Undo().ok());
  Ask(chat, "two");
  EXPECT_EQ(log_.prompts.back(), *turns().UserTurn("two", "S"));
  EXPECT_EQ(chat.turns().size(), 1u);
}

// The toy has windows of 8 positions, and 4 positions of free rollback. Without
// checkpoints, it would compute all earlier turns again.
TEST_F(ConversationTest, GoingBackRecomputesNothing) {
  Conversation chat = New();
  for (const char* message : {"one", "two", "three", "four"}) {
    Ask(chat, message);
  }
  ASSERT_TRUE(chat.Undo().ok());
  ASSERT_TRUE(chat.Undo().ok());
  log_.computed = 0;
  Ask(chat, "five");
  const size_t prompt = log_.prompts.back().size();
  EXPECT_EQ(log_.prompts.back(), *turns().NextUserTurn("five"));
  EXPECT_GE(log_.computed, prompt);
  EXPECT_LE(log_.computed, prompt + greedy_.max_tokens);

  log_.computed = 0;
  ASSERT_EQ(ErrorOf(chat.AskAgain(greedy_)), "OK");
  EXPECT_LE(log_.computed, prompt + greedy_.max_tokens);
}

TEST_F(ConversationTest, LoadedHistoryHasCheckpoints) {
  Conversation chat = New();
  ASSERT_EQ(ErrorOf(chat.Replace("", {{"a", "b"}, {"c", "d"}, {"e", "f"}})),
            "OK");
  Ask(chat, "one");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(chat.Undo().ok());
  log_.computed = 0;
  Ask(chat, "two");
  EXPECT_LE(log_.computed, log_.prompts.back().size() + greedy_.max_tokens);
}

TEST_F(ConversationTest, AskAgainChangesSeed) {
  Conversation chat = New();
  Ask(chat, "one");
  Ask(chat, "two");
  const std::vector<TokenId> prompt = log_.prompts.back();
  ASSERT_EQ(ErrorOf(chat.AskAgain(greedy_)), "OK");
  EXPECT_EQ(log_.prompts.back(), prompt);
  EXPECT_THAT(log_.seeds, ElementsAre(0, 1, 2));
  EXPECT_EQ(chat.turns().size(), 2u);
  EXPECT_EQ(chat.turns()[1].message, "two");
  // Seeds do not repeat after going back.
  ASSERT_TRUE(chat.Undo().ok());
  Ask(chat, "three");
  EXPECT_EQ(log_.seeds.back(), 3u);
  // The seed of the options is added.
  greedy_.sampling.seed = 100;
  Ask(chat, "four");
  EXPECT_EQ(log_.seeds.back(), 104u);

  AnswerOptions warm = greedy_;
  warm.sampling = {.temperature = 2, .top_k = 0, .top_p = 1};
  warm.max_tokens = 20;
  ASSERT_TRUE(chat.AskAgain(warm).ok());
  const std::string answer = chat.turns().back().answer;
  ASSERT_TRUE(chat.AskAgain(warm).ok());
  EXPECT_NE(chat.turns().back().answer, answer);
}

TEST_F(ConversationTest, FailedAnswerAddsNothing) {
  Conversation chat = New();
  Ask(chat, "one");
  log_.failure = InterruptedError();
  EXPECT_TRUE(absl::IsCancelled(chat.Ask("two", greedy_).status()));
  EXPECT_EQ(chat.turns().size(), 1u);
  Ask(chat, "three");

  Conversation other = New();
  Ask(other, "one");
  Ask(other, "three");
  EXPECT_EQ(TokensOf(chat.session()), TokensOf(other.session()));
}

TEST_F(ConversationTest, FailedRetryKeepsAnswer) {
  Conversation chat = New();
  EXPECT_TRUE(absl::IsFailedPrecondition(chat.AskAgain(greedy_).status()));
  Ask(chat, "one");
  Ask(chat, "two");
  const std::string answer = chat.turns()[1].answer;
  log_.failure = InterruptedError();
  EXPECT_TRUE(absl::IsCancelled(chat.AskAgain(greedy_).status()));
  ASSERT_EQ(chat.turns().size(), 2u);
  EXPECT_EQ(chat.turns()[1].message, "two");
  EXPECT_EQ(chat.turns()[1].answer, answer);
  // The session reads the old answer as text, then the message.
  Ask(chat, "three");
  const std::vector<TokenId> message = *turns().NextUserTurn("three");
  const std::vector<TokenId>& prompt = log_.prompts.back();
  ASSERT_GT(prompt.size(), message.size());
  EXPECT_EQ(std::vector<TokenId>(prompt.end() - message.size(), prompt.end()),
            message);
  EXPECT_EQ(chat.Use()->turns.size(), 3u);
}

TEST_F(ConversationTest, ACancelledAnswerStays) {
  Conversation chat = New();
  log_.cancel_after = 3;
  const absl::StatusOr<Reply> reply = chat.Ask("one", greedy_);
  ASSERT_EQ(ErrorOf(reply), "OK");
  EXPECT_EQ(reply->stats.stop_reason, StopReason::kCancelled);
  EXPECT_GT(reply->stats.new_tokens, 0u);
  EXPECT_LT(reply->stats.new_tokens, greedy_.max_tokens);
  ASSERT_EQ(chat.turns().size(), 1u);
  EXPECT_FALSE(chat.turns()[0].answer.empty());
  log_.cancel_after = 0;
  Ask(chat, "two");
  EXPECT_EQ(log_.prompts.back(), *turns().NextUserTurn("two"));
}

TEST_F(ConversationTest, InterruptKeepsReadTurns) {
  const std::vector<Turn> history = {{"a", "b"}, {"c", "d"}, {"e", "f"}};
  Conversation chat = New();
  ASSERT_EQ(ErrorOf(chat.Replace("", history)), "OK");
  log_.cancel_after = 1;
  EXPECT_TRUE(absl::IsCancelled(chat.Ask("one", greedy_).status()));
  EXPECT_EQ(chat.turns().size(), 3u);
  EXPECT_EQ(chat.Use()->unread, chat.Use()->turns[2]);
  log_.cancel_after = 0;
  const size_t read = chat.Use()->used - chat.Use()->unread;
  log_.computed = 0;
  Ask(chat, "one");
  EXPECT_EQ(log_.computed, chat.session().position() - read);

  Conversation other = New();
  ASSERT_EQ(ErrorOf(other.Replace("", history)), "OK");
  Ask(other, "one");
  EXPECT_EQ(TokensOf(chat.session()), TokensOf(other.session()));
}

TEST_F(ConversationTest, SystemMessageKeepsTurns) {
  Conversation chat = New();
  Ask(chat, "one");
  const std::string answer = chat.turns()[0].answer;
  chat.SetSystem("Be kind.");
  EXPECT_EQ(chat.turns().size(), 1u);
  const absl::StatusOr<Reply> reply = chat.Ask("two", greedy_);
  ASSERT_EQ(ErrorOf(reply), "OK");
  const std::vector<TokenId> whole =
      *turns().Render({{Role::kSystem, "Be kind."},
                       {Role::kUser, "one"},
                       {Role::kModel, answer},
                       {Role::kUser, "two"}});
  EXPECT_EQ(reply->stats.prompt_tokens, whole.size());
  std::vector<TokenId> read = TokensOf(chat.session());
  ASSERT_GE(read.size(), whole.size());
  read.resize(whole.size());
  EXPECT_EQ(read, whole);
}

TEST_F(ConversationTest, UnreadTurnsReadLater) {
  Conversation chat = New();
  Ask(chat, "one");
  log_.failure = InterruptedError();
  ASSERT_FALSE(chat.AskAgain(greedy_).ok());  // makes the turn unread
  Ask(chat, "two");
  log_.failure = InterruptedError();
  ASSERT_FALSE(chat.AskAgain(greedy_).ok());
  const std::string answer = chat.turns()[1].answer;
  const absl::StatusOr<ContextUse> before = chat.Use();
  ASSERT_TRUE(before.ok());
  EXPECT_EQ(before->unread, before->turns[1]);
  Ask(chat, "three");
  const std::vector<TokenId> all = TokensOf(chat.session());
  const std::vector<TokenId> begun(all.begin() + before->turns[0], all.end());
  // From the end of the first answer on, the session has the rendered tokens.
  std::vector<TokenId> expected = *turns().Render({{Role::kUser, "one"},
                                                   {Role::kModel, "x"},
                                                   {Role::kUser, "two"},
                                                   {Role::kModel, answer},
                                                   {Role::kUser, "three"}});
  size_t ends = 0;
  size_t at = 0;
  while (ends < 2) {
    if (expected[at++] == turns().end_of_turn()) ++ends;
  }
  expected.erase(expected.begin(), expected.begin() + at - 1);
  ASSERT_GE(begun.size(), expected.size());
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), begun.begin()));
}

TEST_F(ConversationTest, ClearKeepsSystemMessage) {
  Conversation chat = New();
  chat.SetSystem("S");
  Ask(chat, "one");
  chat.Clear();
  EXPECT_THAT(chat.turns(), IsEmpty());
  EXPECT_EQ(chat.Use()->used, 0u);
  Ask(chat, "two");
  EXPECT_EQ(log_.prompts.back(), *turns().UserTurn("two", "S"));
}

TEST_F(ConversationTest, ReadingKeepsContextUse) {
  Conversation chat = New(500);
  ASSERT_TRUE(chat.Replace("Be brief.", {{"a b", "c"}, {"d", "e f g"}}).ok());
  const absl::StatusOr<ContextUse> unread = chat.Use();
  ASSERT_EQ(ErrorOf(unread), "OK");
  ASSERT_EQ(unread->turns.size(), 2u);
  EXPECT_EQ(unread->unread, unread->used);
  EXPECT_EQ(unread->used, unread->turns[0] + unread->turns[1]);
  EXPECT_EQ(unread->capacity, 500u);
  EXPECT_EQ(unread->left(), 500 - unread->used);

  Ask(chat, "one");
  const absl::StatusOr<ContextUse> read = chat.Use();
  ASSERT_EQ(ErrorOf(read), "OK");
  ASSERT_EQ(read->turns.size(), 3u);
  EXPECT_EQ(read->unread, 0u);
  EXPECT_EQ(read->turns[0], unread->turns[0]);
  EXPECT_EQ(read->turns[1], unread->turns[1]);
  EXPECT_EQ(read->used, chat.session().position());
}

TEST_F(ConversationTest, TooLongMessageFails) {
  Conversation chat = New(64);
  std::string long_message;
  for (int i = 0; i < 100; ++i) long_message += "word ";
  EXPECT_THAT(ErrorOf(chat.Ask(long_message, greedy_)),
              AllOf(HasSubstr("the prompt has"), HasSubstr("64 fit")));
  Ask(chat, "one");
  const size_t position = chat.session().position();
  const absl::Status status = chat.Ask(long_message, greedy_).status();
  EXPECT_TRUE(absl::IsOutOfRange(status));
  // Fewer turns would not help.
  EXPECT_THAT(ErrorOf(status),
              AllOf(HasSubstr("the prompt has"), HasSubstr("64 fit")));
  // 428 tokens and room for an answer.
  EXPECT_EQ(CureOf(status), "/set context 1024 holds it");
  EXPECT_EQ(chat.turns().size(), 1u);
  EXPECT_EQ(chat.session().position(), position);
}

TEST_F(ConversationTest, FullContextAllowsUndo) {
  Conversation chat = New(24);
  greedy_.max_tokens = 0;
  greedy_.sampling = {.temperature = 1, .top_k = 0, .seed = 3};
  Ask(chat, "one");
  ASSERT_EQ(chat.session().remaining(), 0u) << "the toy has ended its answer";
  EXPECT_THAT(ErrorOf(chat.CheckRoom()), HasSubstr("24 tokens is full"));
  ASSERT_TRUE(chat.Undo().ok());
  EXPECT_EQ(ErrorOf(chat.CheckRoom()), "OK");
}

TEST_F(ConversationTest, OldestTurnsAreDropped) {
  Conversation chat = New(80, ContextPolicy::kDropOldestTurns);
  chat.SetSystem("S");
  size_t dropped = 0;
  for (int i = 0; i < 12; ++i) {
    const std::string message = absl::StrCat("message ", i);
    const absl::StatusOr<Reply> reply = chat.Ask(message, greedy_);
    ASSERT_EQ(ErrorOf(reply), "OK");
    dropped += reply->dropped_turns;
    EXPECT_EQ(chat.turns().size() + dropped, static_cast<size_t>(i) + 1);
    EXPECT_EQ(chat.turns().back().message, message);
    EXPECT_EQ(ErrorOf(chat.CheckRoom()), "OK");
  }
  EXPECT_GT(dropped, 0u);
  // The system message is still there.
  EXPECT_EQ(chat.system(), "S");
  std::vector<Message> messages = {{Role::kSystem, "S"},
                                   {Role::kUser, chat.turns()[0].message}};
  const std::vector<TokenId> begin = *turns().Render(messages);
  const std::vector<TokenId> all = TokensOf(chat.session());
  EXPECT_TRUE(std::equal(begin.begin(), begin.end(), all.begin()));
}

// ---------------------------------------------------------------------------
// Templates in Jinja

// Closes the turns of both with the same token, and has a system turn.
constexpr std::string_view kSameEnds =
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.role }}\n"
    "{{ m.content }}<end_of_turn>\n{% endfor %}<start_of_turn>assistant{{ "
    "'\\n' }}";

TEST_F(ConversationTest, TemplateContinuesSession) {
  UseTemplate(kSameEnds);
  Conversation chat = New();
  chat.SetSystem("Be brief.");
  Ask(chat, "one");
  EXPECT_EQ(log_.prompts[0], *turns().UserTurn("one", "Be brief."));
  Ask(chat, "two");
  EXPECT_EQ(log_.prompts[1], *turns().NextUserTurn("two"));
  EXPECT_EQ(chat.Use()->used, chat.session().position());
  ASSERT_TRUE(chat.Undo().ok());
  log_.computed = 0;
  Ask(chat, "three");
  EXPECT_EQ(log_.prompts.back(), *turns().NextUserTurn("three"));
  EXPECT_LE(log_.computed, log_.prompts.back().size() + greedy_.max_tokens);
}

TEST_F(ConversationTest, TemplateHistoryHasCheckpoints) {
  UseTemplate(kSameEnds);
  Conversation chat = New();
  ASSERT_EQ(ErrorOf(chat.Replace("S", {{"a", "b"}, {"c", "d"}, {"e", "f"}})),
            "OK");
  EXPECT_EQ(chat.Use()->turns.size(), 3u);
  Ask(chat, "one");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(chat.Undo().ok());
  log_.computed = 0;
  Ask(chat, "two");
  EXPECT_EQ(log_.prompts.back(), *turns().NextUserTurn("two"));
  EXPECT_LE(log_.computed, log_.prompts.back().size() + greedy_.max_tokens);
}

// The template writes its instructions into the last turn only, so each message
// changes the turn before it.
TEST_F(ConversationTest, ChangedTurnsAreReread) {
  UseTemplate(
      "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.role }}\n"
      "{{ m.content }}{% if loop.last %} not up{% endif %}<end_of_turn>\n"
      "{% endfor %}<start_of_turn>assistant{{ '\\n' }}");
  Conversation chat = New();
  std::vector<Message> messages;
  for (const char* message : {"one", "two", "three", "four"}) {
    messages.push_back({Role::kUser, message});
    log_.computed = 0;
    Ask(chat, message);
    const std::vector<TokenId> whole = *turns().Render(messages);
    EXPECT_EQ(First(chat, whole.size()), whole);
    messages.push_back({Role::kModel, chat.turns().back().answer});
  }
  // The first turns did not change again.
  EXPECT_LT(log_.prompts.back().size(), turns().Render(messages)->size() / 2);
  ASSERT_TRUE(chat.Undo().ok());
  ASSERT_TRUE(chat.Undo().ok());
  messages.resize(4);
  messages.push_back({Role::kUser, "five"});
  Ask(chat, "five");
  const std::vector<TokenId> whole = *turns().Render(messages);
  EXPECT_EQ(First(chat, whole.size()), whole);
  EXPECT_EQ(chat.Use()->used, chat.session().position());
}

// The model sees only a few of the messages, and no answer.
TEST_F(ConversationTest, TemplateMayForgetTurns) {
  for (const char* text :
       {"### Instruction:\n{{ messages[-1].content }}\n\n### Response:",
        "{{ bos_token }}{% for m in messages[:2] %}{{ m.content }}{% endfor %}"
        "{{ messages[-1].content }}"}) {
    SCOPED_TRACE(text);
    UseTemplate(text);
    Conversation chat = New();
    for (const char* message : {"same", "same", "other", "same"}) {
      Ask(chat, message);
    }
    ASSERT_TRUE(chat.Undo().ok());
    Ask(chat, "more");
    EXPECT_EQ(chat.turns().size(), 4u);
    EXPECT_EQ(chat.Use()->used, chat.session().position());
  }
}

TEST_F(ConversationTest, ChangedTurnsAreDropped) {
  UseTemplate(
      "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.role }}\n"
      "{{ m.content }}{% if loop.last %} not up{% endif %}<end_of_turn>\n"
      "{% endfor %}<start_of_turn>assistant{{ '\\n' }}");
  Conversation chat = New(96, ContextPolicy::kDropOldestTurns);
  size_t dropped = 0;
  for (int i = 0; i < 8; ++i) {
    const absl::StatusOr<Reply> reply = chat.Ask("message", greedy_);
    ASSERT_EQ(ErrorOf(reply), "OK");
    dropped += reply->dropped_turns;
  }
  EXPECT_GT(dropped, 0u);
  EXPECT_EQ(chat.turns().size() + dropped, 8u);
}

TEST_F(ConversationTest, TemplateMustAllowAnswers) {
  UseTemplate(
      "{% if messages | length > 1 %}{{ raise_exception('only one') }}"
      "{% endif %}{{ messages[0].content }}");
  EXPECT_THAT(
      ErrorOf(Conversation::Create(NewSession(*model_, {.max_tokens = 64}),
                                   turns(), ContextPolicy::kError, {})),
      HasSubstr("only one"));
}

TEST_F(ConversationTest, RefusesTooManyTurns) {
  Conversation chat = New(64);
  Ask(chat, "one");
  const size_t used = chat.Use()->used;
  const std::vector<Turn> many(20, {"a message", "an answer"});
  EXPECT_THAT(ErrorOf(chat.Replace("S", many)),
              AllOf(HasSubstr("20 turns"), HasSubstr("64 fit")));
  // Nothing of them can be undone.
  const std::string cure = CureOf(chat.Replace("S", many));
  EXPECT_THAT(cure, AllOf(HasSubstr("/set context 1024"),
                          HasSubstr("/set context-policy drop-oldest-turns"),
                          Not(HasSubstr("/undo"))));
  EXPECT_EQ(chat.system(), "");
  EXPECT_EQ(chat.turns().size(), 1u);
  EXPECT_EQ(chat.Use()->used, used);
  EXPECT_EQ(chat.Use()->unread, 0u);

  Conversation dropping = New(64, ContextPolicy::kDropOldestTurns);
  ASSERT_EQ(ErrorOf(dropping.Replace("S", many)), "OK");
  Ask(dropping, "one");
  EXPECT_LT(dropping.turns().size(), 10u);
}

TEST_F(ConversationTest, AnotherModelReadsTurns) {
  Conversation chat = New();
  ASSERT_EQ(ErrorOf(chat.Ask("one", greedy_)), "OK");
  const std::vector<TokenId> first = log_.prompts.back();
  ASSERT_EQ(ErrorOf(chat.ReplaceModel(
                NewSession(*model_, {.max_tokens = 1024, .max_rollback = 4}),
                turns())),
            "OK");
  EXPECT_EQ(chat.turns().size(), 1u);
  ASSERT_EQ(ErrorOf(chat.Ask("two", greedy_)), "OK");
  // The new session reads both turns.
  EXPECT_EQ(First(chat, first.size()), first);
  EXPECT_GT(log_.prompts.back().size(), 2 * first.size());
  EXPECT_EQ(chat.turns().size(), 2u);
  // Too small a context changes nothing.
  EXPECT_THAT(
      ErrorOf(chat.ReplaceModel(
          NewSession(*model_, {.max_tokens = 8, .max_rollback = 4}), turns())),
      HasSubstr("2 turns have"));
  EXPECT_EQ(ErrorOf(chat.Ask("three", greedy_)), "OK");
}

}  // namespace
}  // namespace gemma::tools
