// Implements gemma/c_api.h with the C++ library.

#include "gemma/c_api.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

struct gemma_session {
  gemma::Session session;
};

struct gemma_cancellation {
  std::atomic<bool> cancelled = false;
};

namespace gemma {
namespace {

// Copies the fields that both versions of the struct have from the caller's
// struct to `into`, which holds defaults. Fields of a newer header must be
// zero.
template <class Options>
absl::Status ReadSized(const Options* from, const char* name, Options& into) {
  if (from == nullptr) return absl::OkStatus();
  const size_t size = from->struct_size;
  if (size < sizeof(size_t)) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ".struct_size is ", size, ", wanted ",
                     sizeof(Options), ": call ", name, "_init"));
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(from);
  for (size_t i = sizeof(Options); i < size; ++i) {
    if (bytes[i] == 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        name, " sets a field that version ", GEMMA_VERSION_STRING, " lacks"));
  }
  std::memcpy(&into, from, std::min(size, sizeof(Options)));
  return absl::OkStatus();
}

absl::Status ReadMessages(const gemma_message* from, size_t count,
                          std::vector<Message>& messages) {
  for (size_t i = 0; i < count; ++i) {
    const absl::StatusOr<Role> role =
        ReadRole(from[i].role, absl::StrCat("messages[", i, "].role"));
    if (!role.ok()) return role.status();
    if (from[i].text == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("messages[", i, "].text is null"));
    }
    messages.push_back({*role, from[i].text});
  }
  return absl::OkStatus();
}

absl::Status ReadTurnSource(const gemma_load_options& from,
                            TurnSource& source) {
  constexpr TurnSource kSources[] = {TurnSource::kAutomatic, TurnSource::kFile,
                                     TurnSource::kGemma};
  const unsigned number = NumberOf(from.turn_source);
  if (number >= std::size(kSources)) {
    return absl::InvalidArgumentError(
        absl::StrCat("turn_source is ", number, ", wanted 0 to 2"));
  }
  source = kSources[number];
  return absl::OkStatus();
}

absl::StatusOr<FillInMiddle> FillOf(const Model& model) {
  const auto tokenizer = model.tokenizer();
  if (!tokenizer.ok()) return tokenizer.status();
  return FillInMiddle::Create(**tokenizer);
}

absl::Status ReadCacheFormat(const gemma_session_options& from,
                             CacheFormat& format) {
  constexpr CacheFormat kFormats[] = {CacheFormat::kAuto, CacheFormat::kFloat32,
                                      CacheFormat::kBFloat16,
                                      CacheFormat::kInt8};
  const unsigned number = NumberOf(from.cache_format);
  if (number >= std::size(kFormats)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cache_format is ", number, ", wanted 0 to 3"));
  }
  format = kFormats[number];
  return absl::OkStatus();
}

absl::Status ReadGenerateOptions(const gemma_generate_options& from,
                                 GenerateOptions& options) {
  options.max_new_tokens = from.max_new_tokens;
  options.sampling.temperature = from.temperature;
  options.sampling.top_k = from.top_k;
  options.sampling.top_p = from.top_p;
  options.sampling.min_p = from.min_p;
  options.sampling.seed = from.seed;
  options.speculation = from.speculate ? Speculation::kAuto : Speculation::kOff;
  if (from.num_stop_strings != 0) GEMMA_C_REQUIRE(from.stop_strings);
  for (size_t i = 0; i < from.num_stop_strings; ++i) {
    GEMMA_C_REQUIRE(from.stop_strings[i]);
    options.stop_strings.emplace_back(from.stop_strings[i]);
  }
  if (from.num_stop_tokens != 0) GEMMA_C_REQUIRE(from.stop_tokens);
  options.stop_tokens.assign(from.stop_tokens,
                             from.stop_tokens + from.num_stop_tokens);
  if (!(from.timeout_seconds >= 0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "timeout_seconds is ", from.timeout_seconds, ", wanted 0 or more"));
  }
  // The clock cannot represent longer times: no deadline.
  if (from.timeout_seconds > 0 && from.timeout_seconds < 1e9) {
    options.deadline =
        std::chrono::steady_clock::now() +
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(
            std::chrono::duration<double>(from.timeout_seconds));
  }
  if (const gemma_cancellation* cancellation = from.cancellation) {
    options.cancelled = [cancellation] {
      return cancellation->cancelled.load(std::memory_order_relaxed);
    };
  }
  return absl::OkStatus();
}

// Returns no value for GEMMA_GRAMMAR_NONE.
absl::StatusOr<std::optional<Grammar>> ReadGrammar(
    const gemma_generate_options& from) {
  const unsigned kind = NumberOf(from.grammar);
  if (kind > GEMMA_GRAMMAR_CHOICES) {
    return absl::InvalidArgumentError(
        absl::StrCat("grammar is ", kind, ", wanted 0 to 4"));
  }
  if (kind == GEMMA_GRAMMAR_NONE) return std::nullopt;
  if (kind == GEMMA_GRAMMAR_JSON) return Grammar::AnyJson();
  if (from.num_grammar_texts != 0) GEMMA_C_REQUIRE(from.grammar_texts);
  std::vector<std::string> texts;
  for (size_t i = 0; i < from.num_grammar_texts; ++i) {
    GEMMA_C_REQUIRE(from.grammar_texts[i]);
    texts.emplace_back(from.grammar_texts[i]);
  }
  if (kind == GEMMA_GRAMMAR_CHOICES) return Grammar::FromChoices(texts);
  if (texts.size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("num_grammar_texts is ", texts.size(), ", wanted 1"));
  }
  if (kind == GEMMA_GRAMMAR_REGEX) return Grammar::FromRegex(texts[0]);
  return Grammar::FromJsonSchema(texts[0]);
}

// Gives the parts of an answer to the caller's functions while it is generated.
class PartsView {
 public:
  // All arguments must outlive this.
  PartsView(const gemma_generate_options& options, gemma_text_callback on_text,
            void* user)
      : parser_(
            options.answer->tokenizer,
            [=, this](std::string_view text) { Give(on_text, text, user); },
            [=, this, on_thoughts = options.on_thoughts](
                std::string_view text) { Give(on_thoughts, text, user); }) {}

  // Lets a call of Generate end once a function returned false. Returns the
  // function for its text.
  std::function<bool(std::string_view)> Connect(GenerateOptions& options) {
    options.on_control = [this](TokenId token) { parser_.Control(token); };
    options.cancelled = [this, cancelled = std::move(options.cancelled)] {
      return !goes_on_ || (cancelled && cancelled());
    };
    return [this](std::string_view text) {
      parser_.Text(text);
      return goes_on_;
    };
  }

  const ParsedAnswer& Finish() {
    parser_.Finish();
    return parser_.answer();
  }

 private:
  void Give(gemma_text_callback function, std::string_view text, void* user) {
    if (!goes_on_ || function == nullptr) return;
    goes_on_ = function(text.data(), text.size(), user);
  }

  bool goes_on_ = true;
  AnswerParser parser_;
};

gemma_stop_reason StopReasonOf(StopReason reason) {
  switch (reason) {
    case StopReason::kStopToken:
      return GEMMA_STOP_TOKEN;
    case StopReason::kStopString:
      return GEMMA_STOP_STRING;
    case StopReason::kMaxTokens:
      return GEMMA_STOP_MAX_TOKENS;
    case StopReason::kContextFull:
      return GEMMA_STOP_CONTEXT_FULL;
    case StopReason::kDeadline:
      return GEMMA_STOP_DEADLINE;
    case StopReason::kCancelled:
      break;
    case StopReason::kGrammarEnd:
      return GEMMA_STOP_GRAMMAR_END;
  }
  return GEMMA_STOP_CANCELLED;
}

// Writes the fields that the caller's struct has.
void WriteStats(const GenerateStats& from, gemma_generate_stats* to) {
  gemma_generate_stats stats;
  gemma_generate_stats_init(&stats);
  stats.struct_size = to->struct_size;
  stats.prompt_tokens = from.prompt_tokens;
  stats.new_tokens = from.new_tokens;
  stats.prefill_seconds = from.prefill_seconds;
  stats.decode_seconds = from.decode_seconds;
  stats.stop_reason = StopReasonOf(from.stop_reason);
  std::memcpy(to, &stats, std::min(sizeof(stats), to->struct_size));
}

}  // namespace
}  // namespace gemma

using gemma::internal::Reported;

const char* gemma_last_error(void) { return gemma::internal::LastError(); }
const char* gemma_version(void) { return GEMMA_VERSION_STRING; }

gemma_status gemma_cap_simd(const char* name) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(name);
    return gemma::CapSimd(name);
  });
}

// ---- Models

void gemma_load_options_init(gemma_load_options* options) {
  if (options == nullptr) return;
  const gemma::LoadOptions defaults;
  *options = {};
  options->struct_size = sizeof(*options);
  options->num_threads = defaults.num_threads;
  options->num_decode_threads = defaults.num_decode_threads;
  options->prefill_chunk = defaults.prefill_chunk;
  options->float32_activations =
      defaults.activations == gemma::Activations::kFloat32;
  options->deterministic = defaults.deterministic;
}

gemma_status gemma_model_load(const char* path,
                              const gemma_load_options* options,
                              gemma_model** model) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(path);
    GEMMA_C_REQUIRE(model);
    gemma_load_options from;
    gemma_load_options_init(&from);
    GEMMA_RETURN_IF_ERROR(
        gemma::ReadSized(options, "gemma_load_options", from));
    gemma::LoadOptions load;
    load.num_threads = from.num_threads;
    load.num_decode_threads = from.num_decode_threads;
    load.prefill_chunk = from.prefill_chunk;
    load.activations = from.float32_activations ? gemma::Activations::kFloat32
                                                : gemma::Activations::kRounded;
    load.deterministic = from.deterministic;
    if (from.num_adapters > 0) GEMMA_C_REQUIRE(from.adapters);
    for (size_t i = 0; i < from.num_adapters; ++i) {
      GEMMA_C_REQUIRE(from.adapters[i]);
      const float scale =
          from.adapter_scales != nullptr ? from.adapter_scales[i] : 1.0f;
      load.adapters.push_back({from.adapters[i], scale});
    }
    GEMMA_RETURN_IF_ERROR(gemma::ReadTurnSource(from, load.turn_source));
    if (from.chat_template_file != nullptr) {
      load.chat_template_file = from.chat_template_file;
    }
    if (from.progress != nullptr) {
      load.progress = [&from](const gemma::LoadProgress& progress) {
        return from.progress(progress.done_bytes, progress.total_bytes,
                             from.user);
      };
    }
    auto loaded = gemma::Model::Load(path, std::move(load));
    GEMMA_RETURN_IF_ERROR(loaded.status());
    *model = new gemma_model{*std::move(loaded)};
    return absl::OkStatus();
  });
}

void gemma_model_free(gemma_model* model) { delete model; }

size_t gemma_model_vocab_size(const gemma_model* model) {
  if (model == nullptr) return 0;
  return model->model.config().vocab_size;
}

size_t gemma_model_max_context(const gemma_model* model) {
  if (model == nullptr) return 0;
  return model->model.config().max_context;
}

bool gemma_model_is_instruction_tuned(const gemma_model* model) {
  if (model == nullptr) return false;
  return model->model.is_instruction_tuned();
}

const char* gemma_model_architecture(const gemma_model* model) {
  if (model == nullptr) return "";
  return model->model.config().architecture.c_str();
}

// ---- Tokens

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

gemma_status gemma_chat_prompt(const gemma_model* model,
                               const gemma_message* messages,
                               size_t num_messages, int32_t* tokens,
                               size_t capacity, size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    if (num_messages != 0) GEMMA_C_REQUIRE(messages);
    GEMMA_C_REQUIRE(size);
    std::vector<gemma::Message> read;
    GEMMA_RETURN_IF_ERROR(gemma::ReadMessages(messages, num_messages, read));
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

gemma_status gemma_fill_prompt(const gemma_model* model, const char* prefix,
                               size_t prefix_size, const char* suffix,
                               size_t suffix_size, const char* path,
                               int32_t* tokens, size_t capacity, size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    if (prefix_size != 0) GEMMA_C_REQUIRE(prefix);
    if (suffix_size != 0) GEMMA_C_REQUIRE(suffix);
    GEMMA_C_REQUIRE(size);
    const auto fill = gemma::FillOf(model->model);
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
    const auto fill = gemma::FillOf(model->model);
    GEMMA_RETURN_IF_ERROR(fill.status());
    return gemma::internal::Write(fill->stop_tokens(), tokens, capacity, size);
  });
}

// ---- Sessions

void gemma_session_options_init(gemma_session_options* options) {
  if (options == nullptr) return;
  const gemma::SessionOptions defaults;
  *options = {};
  options->struct_size = sizeof(*options);
  options->max_tokens = defaults.max_tokens;
  options->max_rollback = defaults.max_rollback;
  options->checkpoint_interval = defaults.checkpoint_interval;
  options->max_checkpoints = defaults.max_checkpoints;
  options->cache_format = GEMMA_CACHE_AUTO;
}

gemma_status gemma_session_create(const gemma_model* model,
                                  const gemma_session_options* options,
                                  gemma_session** session) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(session);
    gemma_session_options from;
    gemma_session_options_init(&from);
    GEMMA_RETURN_IF_ERROR(
        gemma::ReadSized(options, "gemma_session_options", from));
    gemma::SessionOptions create;
    create.max_tokens = from.max_tokens;
    create.max_rollback = from.max_rollback;
    create.checkpoint_interval = from.checkpoint_interval;
    create.max_checkpoints = from.max_checkpoints;
    GEMMA_RETURN_IF_ERROR(gemma::ReadCacheFormat(from, create.cache_format));
    auto created = gemma::Session::Create(model->model, create);
    GEMMA_RETURN_IF_ERROR(created.status());
    *session = new gemma_session{*std::move(created)};
    return absl::OkStatus();
  });
}

void gemma_session_free(gemma_session* session) { delete session; }

size_t gemma_session_position(const gemma_session* session) {
  if (session == nullptr) return 0;
  return session->session.position();
}

size_t gemma_session_remaining(const gemma_session* session) {
  if (session == nullptr) return 0;
  return session->session.remaining();
}

gemma_status gemma_session_forward(gemma_session* session,
                                   const int32_t* tokens, size_t num_tokens,
                                   const float** logits) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    if (num_tokens != 0) GEMMA_C_REQUIRE(tokens);
    if (logits == nullptr) return session->session.Append({tokens, num_tokens});
    const auto computed = session->session.Forward({tokens, num_tokens});
    GEMMA_RETURN_IF_ERROR(computed.status());
    *logits = computed->data();
    return absl::OkStatus();
  });
}

gemma_status gemma_session_rewind(gemma_session* session, size_t position) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    return session->session.Rewind(position);
  });
}

void gemma_session_checkpoint(gemma_session* session) {
  Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    return session->session.Checkpoint();
  });
}

// ---- Answers

gemma_cancellation* gemma_cancellation_create(void) {
  return new (std::nothrow) gemma_cancellation;
}

void gemma_cancellation_free(gemma_cancellation* cancellation) {
  delete cancellation;
}

void gemma_cancellation_cancel(gemma_cancellation* cancellation) {
  if (cancellation != nullptr) cancellation->cancelled = true;
}

void gemma_cancellation_reset(gemma_cancellation* cancellation) {
  if (cancellation != nullptr) cancellation->cancelled = false;
}

void gemma_generate_options_init(gemma_generate_options* options) {
  if (options == nullptr) return;
  const gemma::GenerateOptions defaults;
  *options = {};
  options->struct_size = sizeof(*options);
  options->max_new_tokens = defaults.max_new_tokens;
  options->temperature = defaults.sampling.temperature;
  options->top_k = defaults.sampling.top_k;
  options->top_p = defaults.sampling.top_p;
  options->min_p = defaults.sampling.min_p;
  options->seed = defaults.sampling.seed;
  options->speculate = defaults.speculation == gemma::Speculation::kAuto;
}

void gemma_generate_stats_init(gemma_generate_stats* stats) {
  if (stats == nullptr) return;
  *stats = {};
  stats->struct_size = sizeof(*stats);
}

gemma_status gemma_generate(gemma_session* session, const int32_t* prompt,
                            size_t prompt_size,
                            const gemma_generate_options* options,
                            gemma_text_callback on_text, void* user,
                            gemma_generate_stats* stats) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(session);
    if (prompt_size != 0) GEMMA_C_REQUIRE(prompt);
    if (stats != nullptr && stats->struct_size < sizeof(size_t)) {
      return absl::InvalidArgumentError(
          absl::StrCat("gemma_generate_stats.struct_size is ",
                       stats->struct_size, ", wanted ", sizeof(*stats)));
    }
    gemma_generate_options from;
    gemma_generate_options_init(&from);
    GEMMA_RETURN_IF_ERROR(
        gemma::ReadSized(options, "gemma_generate_options", from));
    gemma::GenerateOptions generate;
    GEMMA_RETURN_IF_ERROR(gemma::ReadGenerateOptions(from, generate));
    const auto grammar = gemma::ReadGrammar(from);
    GEMMA_RETURN_IF_ERROR(grammar.status());
    if (grammar->has_value()) generate.grammar = &**grammar;
    std::optional<gemma::PartsView> parts;
    std::function<bool(std::string_view)> take_text =
        [&](std::string_view text) {
          return on_text == nullptr || on_text(text.data(), text.size(), user);
        };
    if (from.answer != nullptr) {
      parts.emplace(from, on_text, user);
      take_text = parts->Connect(generate);
    } else if (from.on_thoughts != nullptr) {
      return absl::InvalidArgumentError(
          "on_thoughts is set, but answer is null: calls of tools would be "
          "lost");
    }
    const auto generated = gemma::Generate(
        session->session, {prompt, prompt_size}, generate, take_text);
    GEMMA_RETURN_IF_ERROR(generated.status());
    if (parts.has_value()) from.answer->parts = parts->Finish();
    if (stats != nullptr) gemma::WriteStats(*generated, stats);
    return absl::OkStatus();
  });
}
