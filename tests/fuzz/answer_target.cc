// Answers of models: text and control tokens in any order, taken apart, put
// into a chat and taken apart again.

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gemma/answer_parser.h"
#include "gemma/chat_template.h"
#include "nlohmann/json.hpp"
#include "src/base/format_text.h"
#include "src/base/utf8.h"
#include "src/text/tokenizer/control_names.h"
#include "src/text/tokenizer/tokenizer_impl.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/targets.h"

namespace gemma::internal {
namespace {

// The turns of a model with tools, and a vocabulary of their control tokens,
// the bytes and the blank.
class Turns {
 public:
  explicit Turns(const TurnMarks& marks)
      : tokenizer_(TokenizerFor(marks, controls_)),
        chat_(*ChatTemplate::Create(tokenizer_)) {}

  const Tokenizer& tokenizer() const { return tokenizer_; }
  const ChatTemplate& chat() const { return chat_; }

  // The tokens of an answer: names of control tokens are those tokens, and any
  // other byte is a token.
  std::vector<TokenId> TokensOf(std::string_view answer) const {
    std::vector<TokenId> tokens;
    while (!answer.empty()) {
      const size_t before = answer.size();
      for (size_t i = 0; i < controls_.size(); ++i) {
        if (!absl::StartsWith(answer, controls_[i])) continue;
        tokens.push_back(static_cast<TokenId>(i));
        answer.remove_prefix(controls_[i].size());
        break;
      }
      if (answer.size() < before) continue;
      const auto byte = static_cast<uint8_t>(answer.front());
      tokens.push_back(static_cast<TokenId>(controls_.size() + byte));
      answer.remove_prefix(1);
    }
    return tokens;
  }

 private:
  // Control tokens are the first of the vocabulary, and bytes the next.
  static Tokenizer TokenizerFor(const TurnMarks& marks,
                                std::vector<std::string>& controls) {
    const ToolMarks& tools = marks.tools;
    for (const std::string_view name :
         {std::string_view("<pad>"), std::string_view("<eos>"),
          std::string_view("<bos>"), std::string_view("<unk>"), marks.open,
          marks.close, tools.open_declaration, tools.close_declaration,
          tools.open_call, tools.close_call, tools.open_result,
          tools.close_result, tools.quote, marks.think, marks.open_channel,
          marks.close_channel}) {
      if (!name.empty()) controls.emplace_back(name);
    }
    Vocabulary vocabulary;
    vocabulary.pad = 0;
    vocabulary.eos = 1;
    vocabulary.bos = 2;
    vocabulary.unk = 3;
    for (const std::string& name : controls) {
      vocabulary.pieces.push_back({name, 0.0f, PieceType::kControl});
    }
    vocabulary.pieces[vocabulary.unk].type = PieceType::kUnknown;
    for (int byte = 0; byte < 256; ++byte) {
      vocabulary.pieces.push_back(
          {FormatText("<0x%02X>", byte), 0.0f, PieceType::kByte});
    }
    vocabulary.pieces.push_back({std::string(kBlank)});
    return *MakeTokenizer(std::move(vocabulary), "bytes");
  }

  std::vector<std::string> controls_;  // used by the members below
  Tokenizer tokenizer_;
  ChatTemplate chat_;
};

// Takes an answer apart as Generate gives it to a parser: its text by whole
// characters or, as if stop strings held it back, up to a control token.
ParsedAnswer Parsed(const Tokenizer& tokenizer,
                    const std::vector<TokenId>& tokens, bool holds_back) {
  std::string text;
  std::string thoughts;
  AnswerParser parser(
      tokenizer, [&](std::string_view part) { text += part; },
      [&](std::string_view part) { thoughts += part; });
  StreamDecoder decoder(tokenizer);
  std::string held;
  const auto flush = [&] {
    if (!held.empty()) parser.Text(std::exchange(held, ""));
  };
  for (const TokenId token : tokens) {
    const bool is_control = tokenizer.IsControl(token);
    held += is_control ? decoder.Finish() : decoder.Append(token);
    if (is_control || !holds_back) flush();
    if (is_control) parser.Control(token);
  }
  held += decoder.Finish();
  flush();
  parser.Finish();
  Require(text == parser.answer().text, "the text in parts");
  Require(thoughts == parser.answer().thoughts, "the thoughts in parts");
  return parser.answer();
}

// Whether Gemma's syntax can express the keys, which it writes without quotes.
bool HasPlainKeys(const nlohmann::ordered_json& json) {
  if (!json.is_structured()) return true;
  for (const auto& [key, value] : json.items()) {
    const bool is_plain = !key.empty() &&
                          key.find_first_of(":,{}[]") == key.npos &&
                          absl::StripAsciiWhitespace(key).size() == key.size();
    if (json.is_object() && !is_plain) return false;
    if (!HasPlainKeys(value)) return false;
  }
  return true;
}

// Takes a text apart whose calls are text too, whole and in pieces.
bool RunTextAnswer(const Turns& turns, std::string_view input) {
  std::string text;
  std::vector<ToolCall> calls;
  AnswerParser pieces(
      turns.tokenizer(), [&](std::string_view part) { text += part; }, {},
      [&](const ToolCallPiece& piece) {
        if (!piece.name.empty()) {
          calls.push_back({.name = std::string(piece.name)});
        }
        Require(piece.index + 1 == calls.size(), "a piece of the last call");
        calls.back().arguments += piece.arguments;
      },
      ToolDialect::kJson);
  AnswerParser whole(turns.tokenizer(), {}, {}, {}, ToolDialect::kJson);
  for (const char c : input) pieces.Text({&c, 1});
  whole.Text(input);
  pieces.Finish();
  whole.Finish();
  const ParsedAnswer& answer = pieces.answer();
  Require(text == answer.text, "the text in parts");
  Require(answer.tool_calls == whole.answer().tool_calls, "the same calls");
  Require(answer.ends_in_call || text == whole.answer().text, "the same text");
  if (calls.size() > answer.tool_calls.size()) calls.pop_back();
  Require(calls == answer.tool_calls, "the calls in pieces");
  for (const ToolCall& call : calls) {
    Require(nlohmann::json::accept(call.arguments), "arguments in JSON");
  }
  return !calls.empty();
}

// Puts an answer into a chat that goes on, and returns its tokens.
absl::StatusOr<std::vector<TokenId>> TokensIn(const ChatTemplate& chat,
                                              const ParsedAnswer& answer) {
  std::vector<Message> messages = {
      {Role::kUser, "x"},
      {.role = Role::kModel,
       .text = answer.text,
       .thoughts = answer.thoughts,
       .tool_calls = answer.tool_calls},
  };
  for (size_t i = 0; i < answer.tool_calls.size(); ++i) {
    messages.push_back({Role::kTool, answer.text});
  }
  if (answer.tool_calls.empty()) messages.push_back({Role::kUser, "y"});
  return chat.Render(messages);
}

// Takes an answer apart, and requires that a chat can go on with its parts.
bool RunAnswer(const Turns& turns, std::string_view input) {
  const std::vector<TokenId> tokens = turns.TokensOf(input);
  const ParsedAnswer answer = Parsed(turns.tokenizer(), tokens, false);
  const ParsedAnswer held = Parsed(turns.tokenizer(), tokens, true);
  Require(answer.text == held.text && answer.thoughts == held.thoughts &&
              answer.tool_calls == held.tool_calls &&
              answer.has_markers == held.has_markers,
          "the same parts however the text arrives");
  // A blank's piece is not a character of its own.
  bool is_plain = !absl::StrContains(input, kBlank);
  for (const ToolCall& call : answer.tool_calls) {
    Require(!call.name.empty(), "the name of a tool");
    const auto arguments = nlohmann::ordered_json::parse(
        call.arguments, nullptr, /*allow_exceptions=*/false);
    Require(arguments.is_object(), "arguments that are an object of JSON");
    is_plain = is_plain && HasPlainKeys(arguments);
  }
  const auto prompt = TokensIn(turns.chat(), answer);
  if (!prompt.ok()) {
    RequireBlame(prompt.status());
    Require(
        prompt.status().code() == absl::StatusCode::kUnimplemented,
        absl::StrCat("a chat that goes on, got ", prompt.status().message()));
    return true;
  }
  if (is_plain) {
    const std::vector<ToolCall> calls =
        Parsed(turns.tokenizer(), *prompt, false).tool_calls;
    Require(calls.size() == answer.tool_calls.size(), "the same calls again");
    for (size_t i = 0; i < calls.size(); ++i) {
      Require(calls[i].name == answer.tool_calls[i].name, "the same tool");
    }
  }
  return !answer.tool_calls.empty() || !answer.thoughts.empty();
}

}  // namespace

bool FuzzAnswer(absl::Span<const uint8_t> input) {
  static const auto& gemma4 = *new Turns(kGemma4Turns);
  static const auto& function_gemma = *new Turns(kGemma3Turns);
  const bool first = RunAnswer(gemma4, TextOf(input));
  const bool second = RunAnswer(function_gemma, TextOf(input));
  const std::string_view text = TextOf(input);
  const bool third = IsValidUtf8(text) && RunTextAnswer(gemma4, text);
  return first || second || third;
}

}  // namespace gemma::internal
