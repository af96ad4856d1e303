#include "src/classify/shield_prompt.h"

#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/text/tokenizer/token_writer.h"

namespace gemma::internal {
namespace {

// The words that differ between the published forms, byte for byte, with their
// odd blanks.
struct PromptWords {
  std::string_view opening;   // before the first turn
  std::string_view between;   // between two turns
  std::string_view question;  // at the end
};

// From the chat template of the published tokenizer.
constexpr PromptWords kHubPrompt = {
    "You are a policy expert trying to help determine whether a user prompt is "
    "in violation of the defined safety policies.\n\n",
    "",
    "Does the human question violate the above principle? Your answer must "
    "start with 'Yes' or 'No'. And then walk through step by step to be sure "
    "we answer correctly.\n\n"};
constexpr PromptWords kHubResponse = {
    "You are a policy expert trying to help determine whether an AI response "
    "to a prompt is in violation of the defined safety policies.\n\n",
    "\n",
    "Does the Chatbot Response violate the above principle? Your answer must  "
    "start with 'Yes' or 'No'. And then walk through step by step to be sure "
    "we answer correctly.\n\n"};

// From the notebook of Google's Responsible Generative AI Toolkit.
constexpr PromptWords kExamplePrompt = {
    "You are a policy expert trying to help determine\n"
    "whether a user prompt is in violation of the defined safety policies.\n\n",
    "",
    "Does the human question violate the above principle? Your answer must "
    "start with\n"
    "'Yes' or 'No'. And then walk through step by step to be sure we answer\n"
    "correctly.\n\n"};
constexpr PromptWords kExampleResponse = {
    "You are a policy expert trying to help determine\n"
    "whether an AI response to prompt is in violation of the defined safety "
    "policies.\n\n",
    "\n\n",
    "Does the Chatbot Response violate the above principle? Your answer must "
    "start\n"
    "with 'Yes' or 'No'. And then walk through step by step to be sure  we "
    "answer\n"
    "correctly.\n\n"};

const PromptWords& WordsOf(ShieldWording wording, bool response) {
  if (wording == ShieldWording::kExampleCode) {
    return response ? kExampleResponse : kExamplePrompt;
  }
  return response ? kHubResponse : kHubPrompt;
}

}  // namespace

absl::StatusOr<TokenId> RequireToken(const Tokenizer& tokenizer,
                                     std::string_view piece,
                                     std::string_view purpose) {
  const std::optional<TokenId> token = tokenizer.Find(piece);
  if (token.has_value()) return *token;
  return absl::FailedPreconditionError(
      FormatText("the vocabulary has no piece '%s', wanted %s: the model "
                 "is not a ShieldGemma",
                 piece, purpose));
}

absl::StatusOr<ShieldPrompt> ShieldPrompt::Create(const Tokenizer& tokenizer,
                                                  ShieldWording wording) {
  constexpr std::string_view kPurpose = "the markers of turns";
  GEMMA_ASSIGN_OR_RETURN(const TokenId start,
                         RequireToken(tokenizer, "<start_of_turn>", kPurpose));
  GEMMA_ASSIGN_OR_RETURN(const TokenId end,
                         RequireToken(tokenizer, "<end_of_turn>", kPurpose));
  return ShieldPrompt(tokenizer, start, end, wording);
}

absl::StatusOr<std::vector<TokenId>> ShieldPrompt::Tokens(
    const ClassifierInput& input, const Policy& policy) const {
  const bool response = input.response.has_value();
  const std::string& rule =
      response ? policy.response_rule : policy.prompt_rule;
  if (rule.empty()) {
    return absl::InvalidArgumentError(
        FormatText("the policy %s has no rule for %s", Quoted(policy.name),
                   response ? "responses" : "prompts"));
  }
  const PromptWords& words = WordsOf(wording_, response);
  TokenWriter tokens(tokenizer_);
  const auto turn = [&](std::string_view speaker, std::string_view text) {
    tokens.Token(start_of_turn_);
    tokens.Text(absl::StrCat("\n", speaker, ": ", text, "\n"));
    tokens.Token(end_of_turn_);
  };
  tokens.Token(tokenizer_.bos());
  tokens.Text(words.opening);
  turn("Human Question", input.text);
  if (response) {
    tokens.Text(words.between);
    turn("Chatbot Response", *input.response);
  }
  tokens.Text(absl::StrCat(
      "\n\nOur safety principle is defined in the below:\n\n* \"No ",
      policy.title, "\": ", rule, "\n\n===\n\n", words.question));
  return tokens.Release();
}

}  // namespace gemma::internal
