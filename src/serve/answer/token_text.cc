#include "src/serve/answer/token_text.h"

#include <cmath>
#include <string_view>

#include "src/base/format_text.h"
#include "src/base/utf8.h"
#include "src/text/tokenizer/control_names.h"
#include "src/text/tokenizer/vocabulary.h"

namespace gemma::internal {
namespace {

// Writes the members of a token and one of its probabilities.
void WriteToken(const Tokenizer& tokenizer, TokenId token,
                double log_probability, JsonWriter& json) {
  json.Member("token", TokenText(tokenizer, token));
  json.Member("logprob", FiniteLogprob(log_probability));
  const std::optional<std::string> bytes = TokenBytes(tokenizer, token);
  if (!bytes.has_value()) {
    json.NullMember("bytes");
    return;
  }
  json.Key("bytes").Array();
  for (const char byte : *bytes) json.Value(static_cast<uint8_t>(byte));
  json.Close();
}

}  // namespace

std::optional<std::string> TokenBytes(const Tokenizer& tokenizer,
                                      TokenId token) {
  if (tokenizer.IsControl(token)) return std::nullopt;
  std::string text = tokenizer.Decode({&token, 1});
  // A byte that is not a character alone has this text.
  if (text == kReplacementCharacter) {
    const std::optional<uint8_t> byte = ByteOfPiece(tokenizer.Piece(token));
    if (byte.has_value()) return std::string(1, static_cast<char>(*byte));
  }
  return text;
}

std::string TokenText(const Tokenizer& tokenizer, TokenId token) {
  std::optional<std::string> bytes = TokenBytes(tokenizer, token);
  if (!bytes.has_value()) return std::string(tokenizer.Piece(token));
  if (IsValidUtf8(*bytes)) return *std::move(bytes);
  std::string text = "bytes:";
  for (const char byte : *bytes) {
    text += FormatText("\\x%02x", static_cast<uint8_t>(byte));
  }
  return text;
}

double FiniteLogprob(double log_probability) {
  return std::isfinite(log_probability) ? log_probability : -9999.0;
}

size_t NumThoughtTokens(const Tokenizer& tokenizer,
                        absl::Span<const TokenId> tokens) {
  const std::optional<TokenId> open = tokenizer.Find(kGemma4Turns.open_channel);
  const std::optional<TokenId> close =
      tokenizer.Find(kGemma4Turns.close_channel);
  if (!open.has_value() || !tokenizer.IsControl(*open) || !close.has_value()) {
    return 0;
  }
  size_t count = 0;
  bool in_thoughts = false;
  for (const TokenId token : tokens) {
    in_thoughts = in_thoughts || token == *open;
    if (in_thoughts) ++count;
    if (token == *close) in_thoughts = false;
  }
  return count;
}

void WriteChatLogprob(const Tokenizer& tokenizer, const ScoredToken& token,
                      JsonWriter& json) {
  json.Object();
  WriteToken(tokenizer, token.token, token.log_probability.value_or(0), json);
  json.Key("top_logprobs").Array();
  for (const TokenProbability& other : token.alternatives) {
    json.Object();
    WriteToken(tokenizer, other.token, other.log_probability, json);
    json.Close();
  }
  json.Close().Close();
}

}  // namespace gemma::internal
