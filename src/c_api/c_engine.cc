// Implements gemma/c_engine.h except tickets, and gemma/c_snapshot.h.

#include "gemma/c_engine.h"

#include <iterator>
#include <memory>
#include <utility>

#include "gemma/c_snapshot.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_ticket.h"
#include "src/c_api/c_values.h"

struct gemma_memory_budget {
  gemma::MemoryBudget budget;
};

namespace gemma::internal {
namespace {

absl::Status ReadEngineOptions(const gemma_engine_options* options,
                               EngineOptions& to) {
  gemma_engine_options from;
  gemma_engine_options_init(&from, sizeof(from));
  GEMMA_RETURN_IF_ERROR(ReadSized(options, "gemma_engine_options", from));
  to.max_tokens = from.max_tokens;
  to.max_sequences = from.max_sequences;
  to.max_queued = from.max_queued;
  to.max_queued_per_client = from.max_queued_per_client;
  to.reuse_bytes = from.reuse_bytes;
  to.grammar_bytes = from.grammar_bytes;
  to.max_bytes = from.max_bytes;
  if (from.budget != nullptr) to.budget = from.budget->budget;
  if (from.between_passes != nullptr) {
    to.between_passes = [call = from.between_passes, user = from.user] {
      call(user);
    };
  }
  return ReadCacheFormat(from.cache_format, to.cache_format);
}

using SharedAnswer = std::shared_ptr<AnswerOptions>;

// The request's functions hold the answer's options, which they use.
void ConnectText(const SharedAnswer& answer, Request& to) {
  to.options = answer->options();
  to.on_text = [answer](std::string_view text) {
    return answer->on_text()(text);
  };
}

void ConnectDone(const SharedAnswer& answer, const gemma_request& from,
                 Request& to) {
  to.on_done = [answer,
                call = from.on_done](const absl::StatusOr<Completion>& done) {
    std::vector<gemma_choice_score> scores;
    gemma_completion view;
    const gemma_status status = Reported([&]() -> absl::Status {
      GEMMA_RETURN_IF_ERROR(done.status());
      GEMMA_RETURN_IF_ERROR(answer->Finish());
      view = CompletionOf(*done, scores);
      return absl::OkStatus();
    });
    if (call == nullptr) return;
    answer->Enter();
    call(status, status == GEMMA_OK ? &view : nullptr, answer->user());
  };
}

absl::Status ReadTap(const SharedAnswer& answer, const gemma_request& from,
                     const Model& model, Request& to) {
  if (from.tap != nullptr && from.feature_tap != nullptr) {
    return absl::InvalidArgumentError(
        "tap and feature_tap are set, wanted at most one of them");
  }
  if (from.feature_tap != nullptr) {
    GEMMA_RETURN_IF_ERROR(CheckTapModel(*from.feature_tap, model));
  }
  TapFunction tap = from.feature_tap != nullptr ? from.feature_tap->tap
                                                : TapOf(from.tap, from.user);
  if (!tap) return absl::OkStatus();
  to.tap = [answer, tap = std::move(tap)](const TapSite& site,
                                          absl::Span<float> activations) {
    answer->Enter();
    tap(site, activations);
  };
  return absl::OkStatus();
}

absl::Status ReadTextsToEmbed(const SharedAnswer& answer,
                              const gemma_request& from, Request& to) {
  GEMMA_RETURN_IF_ERROR(
      ReadTexts(from.texts, from.num_texts, "texts", to.texts));
  if (from.embed == nullptr) return absl::OkStatus();
  if (from.num_texts == 0) {
    return absl::InvalidArgumentError(
        "embed is set, wanted null for a request without texts");
  }
  GEMMA_RETURN_IF_ERROR(ReadEmbedOptions(from.embed, to.embed));
  if (!to.embed.progress) return absl::OkStatus();
  to.embed.progress = [answer,
                       call = std::move(to.embed.progress)](size_t done) {
    answer->Enter();
    return call(done);
  };
  return absl::OkStatus();
}

absl::Status ReadRequest(const gemma_request* request, const Model& model,
                         const SharedAnswer& answer, Request& to) {
  gemma_request from = {};
  GEMMA_RETURN_IF_ERROR(ReadSized(request, "gemma_request", from));
  GEMMA_C_REQUIRE_LIST(from, prompt, from.prompt_size);
  to.prompt.assign(from.prompt, from.prompt + from.prompt_size);
  if (from.words != nullptr) to.words = from.words->words;
  to.client = TextOrEmpty(from.client);
  GEMMA_RETURN_IF_ERROR(
      ReadLists(from.choices, from.num_choices, "choices", to.choices));
  GEMMA_RETURN_IF_ERROR(
      answer->Read(from.options, model, from.on_text, from.user));
  ConnectText(answer, to);
  ConnectDone(answer, from, to);
  GEMMA_RETURN_IF_ERROR(ReadTap(answer, from, model, to));
  return ReadTextsToEmbed(answer, from, to);
}

}  // namespace
}  // namespace gemma::internal

using gemma::internal::Reported;

// ---- Memory that engines share

gemma_status gemma_memory_budget_create(uint64_t max_bytes,
                                        gemma_memory_budget** budget) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(budget);
    GEMMA_ASSIGN_OR_RETURN(auto created,
                           gemma::MemoryBudget::Create(max_bytes));
    *budget = new gemma_memory_budget{std::move(created)};
    return absl::OkStatus();
  });
}

void gemma_memory_budget_free(gemma_memory_budget* budget) { delete budget; }

gemma_status gemma_memory_budget_reserve(gemma_memory_budget* budget,
                                         uint64_t bytes) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(budget);
    return budget->budget.Reserve(bytes);
  });
}

void gemma_memory_budget_release(gemma_memory_budget* budget, uint64_t bytes) {
  Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(budget);
    budget->budget.Release(bytes);
    return absl::OkStatus();
  });
}

uint64_t gemma_memory_budget_bytes(const gemma_memory_budget* budget) {
  return budget == nullptr ? 0 : budget->budget.bytes();
}

uint64_t gemma_memory_budget_max_bytes(const gemma_memory_budget* budget) {
  return budget == nullptr ? 0 : budget->budget.max_bytes();
}

// ---- Engines

void gemma_engine_options_init(gemma_engine_options* options, size_t size) {
  const gemma::EngineOptions defaults;
  gemma::internal::InitSized(
      options, size,
      {.max_tokens = defaults.max_tokens,
       .max_sequences = defaults.max_sequences,
       .max_queued = defaults.max_queued,
       .max_queued_per_client = defaults.max_queued_per_client,
       .reuse_bytes = defaults.reuse_bytes,
       .grammar_bytes = defaults.grammar_bytes,
       .max_bytes = defaults.max_bytes,
       .cache_format = static_cast<gemma_cache_format>(defaults.cache_format)});
}

gemma_status gemma_engine_create(const gemma_model* model,
                                 const gemma_engine_options* options,
                                 gemma_engine** engine) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(engine);
    gemma::EngineOptions read;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadEngineOptions(options, read));
    GEMMA_ASSIGN_OR_RETURN(auto created,
                           gemma::Engine::Create(model->model, read));
    *engine = new gemma_engine{model->model, std::move(created)};
    return absl::OkStatus();
  });
}

void gemma_engine_free(gemma_engine* engine) { delete engine; }

gemma_status gemma_engine_memory(const gemma_model* model,
                                 const gemma_engine_options* options,
                                 gemma_memory_use* use) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(use);
    gemma::EngineOptions read;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadEngineOptions(options, read));
    return gemma::internal::WriteMemory(
        gemma::Engine::MemoryFor(model->model, read), use);
  });
}

gemma_status gemma_engine_compile(gemma_engine* engine,
                                  const gemma_grammar_source* source,
                                  gemma_compiled_grammar** grammar) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(engine);
    GEMMA_C_REQUIRE(source);
    GEMMA_C_REQUIRE(grammar);
    gemma::GrammarSource read;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadGrammarSource(source, read));
    GEMMA_ASSIGN_OR_RETURN(auto compiled, engine->engine.Compile(read));
    *grammar = new gemma_compiled_grammar{std::move(compiled)};
    return absl::OkStatus();
  });
}

void gemma_request_init(gemma_request* request, size_t size) {
  gemma::internal::InitSized(request, size, {});
}

gemma_status gemma_engine_submit(gemma_engine* engine,
                                 const gemma_request* request,
                                 gemma_ticket** ticket) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(engine);
    GEMMA_C_REQUIRE(request);
    GEMMA_C_REQUIRE(ticket);
    const auto answer = std::make_shared<gemma::internal::AnswerOptions>();
    gemma::Request read;
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::ReadRequest(request, engine->model, answer, read));
    auto made = std::unique_ptr<gemma_ticket>(new gemma_ticket{answer});
    // The caller's functions wait until the caller has the ticket.
    answer->Hold();
    GEMMA_ASSIGN_OR_RETURN(auto submitted,
                           engine->engine.Submit(std::move(read)));
    made->ticket.emplace(std::move(submitted));
    *ticket = made.release();
    answer->Open();
    return absl::OkStatus();
  });
}

// ---- Snapshots

void gemma_engine_snapshot_init(gemma_engine_snapshot* snapshot, size_t size) {
  gemma::internal::InitSized(snapshot, size, {});
}

gemma_status gemma_engine_get_snapshot(const gemma_engine* engine,
                                       gemma_engine_snapshot* snapshot) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(engine);
    GEMMA_C_REQUIRE(snapshot);
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::CheckSize(*snapshot, "gemma_engine_snapshot"));
    const gemma::EngineSnapshot from = engine->engine.Snapshot();
    gemma_engine_snapshot to = {
        .submitted = from.submitted,
        .queued = from.queued,
        .queued_tokens = from.queued_tokens,
        .running = from.running,
        .max_sequences = from.max_sequences,
        .failed = from.failed,
        .refused = from.refused,
        .interrupted_in_queue = from.interrupted_in_queue,
        .interrupted_in_prompt = from.interrupted_in_prompt,
        .interrupted_in_answer = from.interrupted_in_answer,
        .passes = from.passes,
        .rows = from.rows,
        .last_rows = from.last_rows,
        .pass_seconds = from.pass_seconds,
        .computed_tokens = from.computed_tokens,
        .reused_tokens = from.reused_tokens,
        .new_tokens = from.new_tokens,
        .running_tokens = from.running_tokens,
        .running_bytes = from.running_bytes,
        .kept_sequences = from.kept_sequences,
        .kept_tokens = from.kept_tokens,
        .grammars = from.grammars,
        .grammar_bytes = from.grammar_bytes,
        .grammar_hits = from.grammar_hits,
        .grammar_misses = from.grammar_misses,
        .reuse_bytes = from.reuse_bytes,
        .max_reuse_bytes = from.max_reuse_bytes,
        .logits_bytes = from.logits_bytes,
        .bytes = from.bytes,
        .max_bytes = from.max_bytes};
    static_assert(gemma::kNumStopReasons <= std::size(to.ended));
    std::copy(from.ended.begin(), from.ended.end(), to.ended);
    gemma::internal::WriteSized(to, snapshot);
    return absl::OkStatus();
  });
}
