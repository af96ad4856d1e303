// Loaded data lives as long as any object that uses it. Its owners may be
// destroyed in any order.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "src/session/model_impl.h"
#include "tests/support/error_of.h"
#include "tests/support/requests.h"

namespace gemma::internal {
namespace {

const Toy kToy = {"", "gemma3"};

// Makes an object from a model, then moves the model away and destroys it.
template <class Make>
auto WithoutItsModel(Model model, Make make) {
  auto moved_from = std::make_unique<Model>(std::move(model));
  auto made = make(*moved_from);
  { const Model moved = std::move(*moved_from); }
  return made;
}

TEST(Ownership, CopiesShareTheModel) {
  const Model model = LoadToy(kToy);
  const Model copy = model;
  EXPECT_EQ(&copy.config(), &model.config());
  Model other = LoadToy(kToy);
  EXPECT_NE(&other.config(), &model.config());
  other = copy;
  EXPECT_EQ(&other.config(), &model.config());
  const Session session = NewSession(model);
  EXPECT_EQ(&session.model().config(), &model.config());
  EXPECT_NE(&session.model(), &model);
}

TEST(Ownership, SessionOutlivesItsModel) {
  const std::vector<TokenId> prompt = MakePrompt(20, 1);
  const std::vector<float> expected = AllLogits(LoadToy(kToy), prompt);
  Session session = WithoutItsModel(
      LoadToy(kToy), [](const Model& model) { return NewSession(model); });
  EXPECT_EQ(AllLogits(session, prompt), expected);
  absl::StatusOr<Session> fork = session.Fork();
  ASSERT_EQ(ErrorOf(fork), "OK");
  { const Session ended = std::move(session); }
  ASSERT_TRUE(fork->Rewind(0).ok());
  EXPECT_EQ(AllLogits(*fork, prompt), expected);
  EXPECT_EQ(fork->model().config().architecture, "gemma3");
}

TEST(Ownership, MovesTogetherWithSessions) {
  struct App {
    Model model;
    Session session;
  };
  const auto make = [] {
    Model model = LoadToy(kToy);
    Session session = NewSession(model);
    return App{std::move(model), std::move(session)};
  };
  std::vector<App> apps;
  for (size_t i = 0; i < 3; ++i) apps.push_back(make());
  for (App& app : apps) {
    EXPECT_EQ(AllLogits(app.session, MakePrompt(9, 2)),
              AllLogits(app.model, MakePrompt(9, 2)));
  }
}

TEST(Ownership, EngineOutlivesItsModel) {
  const Request request = Ask(MakePrompt(40, 1), 10);
  const Outcome expected = Alone(LoadSpeakingToy(kToy, 1, 64), request, {});
  absl::StatusOr<Engine> engine =
      WithoutItsModel(LoadSpeakingToy(kToy, 1, 64),
                      [](const Model& model) { return Engine::Create(model); });
  ASSERT_EQ(ErrorOf(engine), "OK");
  std::optional<Ticket> ticket;
  {
    Engine moved = *std::move(engine);
    auto submitted = moved.Submit(request);
    ASSERT_EQ(ErrorOf(submitted), "OK");
    ticket = *std::move(submitted);
    Outcome outcome;
    Collect(*ticket, &outcome);
    EXPECT_EQ(outcome, expected);
  }
  EXPECT_EQ(ticket->Wait()->text, expected.text);
}

// The engine's copy serves a request whose grammar is gone.
TEST(Ownership, RequestKeepsItsGrammar) {
  const Model model =
      LoadOrDie(GEMMA_TESTDATA_DIR "/gguf/gemma3_mixed.gguf", {});
  absl::StatusOr<Engine> engine = Engine::Create(model);
  ASSERT_EQ(ErrorOf(engine), "OK");
  std::vector<Ticket> tickets;
  for (size_t i = 0; i < 3; ++i) {
    auto grammar = std::make_unique<Grammar>(*Grammar::FromRegex("[ab]{20}"));
    Request request = Ask(MakePrompt(40, i), 0);
    request.options.grammar = grammar.get();
    auto ticket = engine->Submit(std::move(request));
    ASSERT_EQ(ErrorOf(ticket), "OK");
    tickets.push_back(*std::move(ticket));
    *grammar = Grammar::AnyJson();
  }
  const Grammar wanted = *Grammar::FromRegex("[ab]{20}");
  for (const Ticket& ticket : tickets) {
    ASSERT_EQ(ErrorOf(ticket.Wait()), "OK");
    EXPECT_EQ(*wanted.Matches(ticket.Wait()->text), true)
        << ticket.Wait()->text;
  }
}

TEST(Ownership, EmbedderOutlivesItsModel) {
  const std::vector<std::string> texts = {"one text", "two of them"};
  const std::string path = ToyPath("embedding_gemma");
  absl::StatusOr<Embedder> embedder = WithoutItsModel(
      LoadExact(path),
      [](const Model& model) { return Embedder::Create(model); });
  ASSERT_EQ(ErrorOf(embedder), "OK");
  const auto found = embedder->Embed(texts);
  ASSERT_EQ(ErrorOf(found), "OK");
  const Model model = LoadExact(path);
  EXPECT_EQ(found->values, Embedder::Create(model)->Embed(texts)->values);
}

TEST(Ownership, TokenizersOutliveTheirModel) {
  const Model model = LoadSpeakingToy(kToy, 1, 64);
  const std::vector<TokenId> tokens = *(*model.tokenizer())->Encode("the user");
  absl::StatusOr<ChatTemplate> turns =
      WithoutItsModel(LoadSpeakingToy(kToy, 1, 64),
                      [](const Model& m) { return m.chat_template(); });
  ASSERT_EQ(ErrorOf(turns), "OK");
  EXPECT_EQ(*turns->UserTurn("the user"),
            *model.chat_template()->UserTurn("the user"));
  Tokenizer tokenizer =
      WithoutItsModel(LoadSpeakingToy(kToy, 1, 64),
                      [](const Model& m) { return **m.tokenizer(); });
  StreamDecoder decoder(tokenizer);
  const std::string_view piece = tokenizer.Piece(tokens[0]);
  const Tokenizer copy = tokenizer;
  { const Tokenizer ended = std::move(tokenizer); }
  std::string text;
  for (const TokenId token : tokens) text += decoder.Append(token);
  EXPECT_EQ(text + decoder.Finish(), copy.Decode(tokens));
  EXPECT_EQ(piece, copy.Piece(tokens[0]));
}

// A copy made during a load that then fails is a model without weights.
TEST(Ownership, CopyOfFailedLoad) {
  std::optional<Model> kept;
  LoadOptions options;
  options.before_weights = [&](const Model& model) {
    kept = model;
    return absl::CancelledError("enough");
  };
  EXPECT_EQ(ErrorOf(Model::Load(ToyPath("gemma3"), options)), "enough");
  ASSERT_TRUE(kept.has_value());
  EXPECT_EQ(Session::Create(*kept).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace gemma::internal
