#include "tools/gemma/cli/logit_bias.h"

#include <cmath>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {
namespace {

bool IsQuoted(std::string_view text) {
  return text.size() > 2 && text.front() == '"' && text.back() == '"';
}

bool ParseId(std::string_view text, TokenId* token) {
  // SimpleAtoi accepts blanks and signs.
  return !text.empty() && absl::ascii_isdigit(text.front()) &&
         absl::ascii_isdigit(text.back()) && absl::SimpleAtoi(text, token);
}

// Returns the token whose piece is `piece`, or `piece` with U+2581 for each
// blank, because vocabularies use either. Returns nullopt if neither exists.
std::optional<TokenId> Find(const Tokenizer& tokenizer,
                            const std::string& piece) {
  const std::optional<TokenId> token = tokenizer.Find(piece);
  if (token.has_value()) return token;
  return tokenizer.Find(absl::StrReplaceAll(piece, {{" ", "\u2581"}}));
}

absl::Status Refuse(std::string_view label, std::string_view text,
                    std::string_view found, std::string_view wanted) {
  return OptionError({"--logit-bias"}, absl::StrCat(label, " ", text, ": '",
                                                    found, "' is ", wanted));
}

}  // namespace

absl::StatusOr<NamedBias> ParseLogitBias(std::string_view text,
                                         std::string_view label) {
  // The last '=', because a piece may contain one.
  const size_t equals = text.rfind('=');
  if (equals == std::string_view::npos) {
    return Refuse(label, text, text, "not TOKEN=BIAS");
  }
  const std::string_view token = text.substr(0, equals);
  const std::string_view bias = text.substr(equals + 1);
  NamedBias named;
  if (IsQuoted(token)) {
    named.piece = token.substr(1, token.size() - 2);
  } else if (!ParseId(token, &named.token)) {
    return Refuse(label, text, token,
                  "neither an id nor a piece in double quotes");
  }
  if (!absl::SimpleAtof(bias, &named.bias) ||
      !(std::isfinite(named.bias) || named.bias == -INFINITY)) {
    return Refuse(label, text, bias, "neither a number nor -inf");
  }
  return named;
}

absl::StatusOr<std::vector<LogitBias>> FindLogitBiases(
    const std::vector<std::string>& texts, const Model& model,
    std::string_view label) {
  std::vector<LogitBias> biases;
  for (const std::string& text : texts) {
    GEMMA_ASSIGN_OR_RETURN(NamedBias named, ParseLogitBias(text, label));
    if (!named.piece.empty()) {
      GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, model.tokenizer());
      const std::optional<TokenId> token = Find(*tokenizer, named.piece);
      if (!token.has_value()) {
        return Refuse(label, text, named.piece,
                      "not a piece of the model's vocabulary");
      }
      named.token = *token;
    }
    const ModelConfig& config = model.config();
    if (!config.has_token(named.token)) {
      return Refuse(
          label, text, absl::StrCat(named.token),
          absl::StrCat("not a token from 0 to ", config.vocab_size - 1));
    }
    biases.push_back({named.token, named.bias});
  }
  return biases;
}

}  // namespace gemma::tools
