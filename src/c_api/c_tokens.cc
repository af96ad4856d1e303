// Implements gemma/c_tokens.h.

#include "gemma/c_tokens.h"

#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

namespace gemma::internal {

absl::Status ReadRole(const gemma_role& from, std::string_view name, Role& to) {
  return ReadEnum(from, name, GEMMA_ROLE_DEVELOPER + 1, to);
}

namespace {

absl::Status ReadMessages(const gemma_message* from, size_t count,
                          std::vector<Message>& messages) {
  for (size_t i = 0; i < count; ++i) {
    Role role;
    GEMMA_RETURN_IF_ERROR(
        ReadRole(from[i].role, absl::StrCat("messages[", i, "].role"), role));
    if (from[i].text == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("messages[", i, "].text is null"));
    }
    messages.push_back({role, from[i].text});
  }
  return absl::OkStatus();
}

absl::StatusOr<FillInMiddle> FillOf(const Model& model) {
  const auto tokenizer = model.tokenizer();
  if (!tokenizer.ok()) return tokenizer.status();
  return FillInMiddle::Create(**tokenizer);
}

}  // namespace
}  // namespace gemma::internal

using gemma::internal::Reported;

gemma_status gemma_tokenize(const gemma_model* model, const char* text,
                            size_t text_size, bool parse_control,
                            int32_t* tokens, size_t capacity, size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    if (text_size != 0) GEMMA_C_REQUIRE(text);
    GEMMA_C_REQUIRE(size);
    const auto tokenizer = model->model.tokenizer();
    GEMMA_RETURN_IF_ERROR(tokenizer.status());
    const auto encoded =
        (*tokenizer)
            ->Encode({text, text_size}, parse_control
                                            ? gemma::ControlTokens::kParse
                                            : gemma::ControlTokens::kAsText);
    GEMMA_RETURN_IF_ERROR(encoded.status());
    return gemma::internal::Write(*encoded, tokens, capacity, size);
  });
}

gemma_status gemma_detokenize(const gemma_model* model, const int32_t* tokens,
                              size_t num_tokens, char* text, size_t capacity,
                              size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    if (num_tokens != 0) GEMMA_C_REQUIRE(tokens);
    GEMMA_C_REQUIRE(size);
    const auto tokenizer = model->model.tokenizer();
    GEMMA_RETURN_IF_ERROR(tokenizer.status());
    return gemma::internal::Write((*tokenizer)->Decode({tokens, num_tokens}),
                                  text, capacity, size);
  });
}

int32_t gemma_find_token(const gemma_model* model, const char* piece) {
  int32_t token = -1;
  Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(piece);
    const auto tokenizer = model->model.tokenizer();
    GEMMA_RETURN_IF_ERROR(tokenizer.status());
    token = (*tokenizer)->Find(piece).value_or(-1);
    return absl::OkStatus();
  });
  return token;
}

int32_t gemma_bos_token(const gemma_model* model) {
  int32_t token = -1;
  Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    const auto tokenizer = model->model.tokenizer();
    GEMMA_RETURN_IF_ERROR(tokenizer.status());
    token = (*tokenizer)->bos();
    return absl::OkStatus();
  });
  return token;
}

int32_t gemma_eos_token(const gemma_model* model) {
  int32_t token = -1;
  Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    const auto tokenizer = model->model.tokenizer();
    GEMMA_RETURN_IF_ERROR(tokenizer.status());
    token = (*tokenizer)->eos();
    return absl::OkStatus();
  });
  return token;
}

gemma_status gemma_token_piece(const gemma_model* model, int32_t token,
                               char* text, size_t capacity, size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(size);
    const auto tokenizer = model->model.tokenizer();
    GEMMA_RETURN_IF_ERROR(tokenizer.status());
    return gemma::internal::Write((*tokenizer)->Piece(token), text, capacity,
                                  size);
  });
}

bool gemma_is_control_token(const gemma_model* model, int32_t token) {
  bool is_control = false;
  Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    const auto tokenizer = model->model.tokenizer();
    GEMMA_RETURN_IF_ERROR(tokenizer.status());
    is_control = (*tokenizer)->IsControl(token);
    return absl::OkStatus();
  });
  return is_control;
}

gemma_status gemma_chat_prompt(const gemma_model* model,
                               const gemma_message* messages,
                               size_t num_messages, int32_t* tokens,
                               size_t capacity, size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    if (num_messages != 0) GEMMA_C_REQUIRE(messages);
    GEMMA_C_REQUIRE(size);
    std::vector<gemma::Message> read;
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::ReadMessages(messages, num_messages, read));
    const auto turns = model->model.chat_template();
    GEMMA_RETURN_IF_ERROR(turns.status());
    const auto rendered = turns->Render(read);
    GEMMA_RETURN_IF_ERROR(rendered.status());
    return gemma::internal::Write(*rendered, tokens, capacity, size);
  });
}

gemma_status gemma_chat_next_turn(const gemma_model* model, const char* text,
                                  int32_t* tokens, size_t capacity,
                                  size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(text);
    GEMMA_C_REQUIRE(size);
    const auto turns = model->model.chat_template();
    GEMMA_RETURN_IF_ERROR(turns.status());
    const auto rendered = turns->NextUserTurn(text);
    GEMMA_RETURN_IF_ERROR(rendered.status());
    return gemma::internal::Write(*rendered, tokens, capacity, size);
  });
}

gemma_status gemma_model_prompt(const gemma_model* model, const char* text,
                                size_t text_size, int32_t* tokens,
                                size_t capacity, size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    if (text_size != 0) GEMMA_C_REQUIRE(text);
    GEMMA_C_REQUIRE(size);
    const auto prompt = model->model.Prompt({text, text_size});
    GEMMA_RETURN_IF_ERROR(prompt.status());
    return gemma::internal::Write(*prompt, tokens, capacity, size);
  });
}

gemma_status gemma_fill_prompt(const gemma_model* model, const char* prefix,
                               size_t prefix_size, const char* suffix,
                               size_t suffix_size, const char* path,
                               int32_t* tokens, size_t capacity, size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    if (prefix_size != 0) GEMMA_C_REQUIRE(prefix);
    if (suffix_size != 0) GEMMA_C_REQUIRE(suffix);
    GEMMA_C_REQUIRE(size);
    const auto fill = gemma::internal::FillOf(model->model);
    GEMMA_RETURN_IF_ERROR(fill.status());
    const auto prompt =
        fill->Prompt({.prefix = {prefix, prefix_size},
                      .suffix = {suffix, suffix_size},
                      .path = path == nullptr ? std::string_view() : path});
    GEMMA_RETURN_IF_ERROR(prompt.status());
    return gemma::internal::Write(*prompt, tokens, capacity, size);
  });
}

gemma_status gemma_fill_stop_tokens(const gemma_model* model, int32_t* tokens,
                                    size_t capacity, size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(size);
    const auto fill = gemma::internal::FillOf(model->model);
    GEMMA_RETURN_IF_ERROR(fill.status());
    return gemma::internal::Write(fill->stop_tokens(), tokens, capacity, size);
  });
}
