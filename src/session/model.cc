#include "gemma/model.h"

#include <algorithm>
#include <future>
#include <optional>
#include <system_error>
#include <utility>

#include "gemma/error_reason.h"
#include "gemma/limits.h"
#include "ops/targets.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/no_throw.h"
#include "src/base/sizes.h"
#include "src/base/status_macros.h"
#include "src/formats/checkpoint.h"
#include "src/forward/pass_costs.h"
#include "src/forward/segment.h"
#include "src/forward/sequence_state.h"
#include "src/forward/transformer.h"
#include "src/model/adapter/adapter.h"
#include "src/model/config/num_threads.h"
#include "src/model/tensors/low_rank.h"
#include "src/model/tensors/outline.h"
#include "src/model/tensors/weights_per_token.h"
#include "src/session/model_impl.h"
#include "src/session/session_impl.h"
#include "src/text/tokenizer/control_names.h"
#include "src/text/tokenizer/load_tokenizer.h"
#include "src/text/turns/adapter_text.h"
#include "src/text/turns/choose_chat_template.h"

namespace gemma {
namespace {

absl::Status CheckOptions(const LoadOptions& options) {
  GEMMA_RETURN_IF_ERROR(CheckThreads("num_threads", options.num_threads));
  GEMMA_RETURN_IF_ERROR(
      CheckThreads("num_decode_threads", options.num_decode_threads));
  if (options.prefill_chunk < 1 || options.prefill_chunk > kMaxPrefillChunk) {
    return absl::InvalidArgumentError(
        FormatText("prefill_chunk is %u, wanted 1 to %u", options.prefill_chunk,
                   kMaxPrefillChunk));
  }
  if (options.thread_pool.has_value() && options.num_threads != 0) {
    return absl::InvalidArgumentError(FormatText(
        "num_threads is %u, wanted 0 with a thread_pool", options.num_threads));
  }
  return absl::OkStatus();
}

Arithmetic ArithmeticOf(const LoadOptions& options) {
  if (options.activations == Activations::kFloat32) return Arithmetic::kFloat32;
  return options.deterministic ? Arithmetic::kInt8 : Arithmetic::kFastest;
}

std::vector<TensorSummary> Summaries(const Checkpoint& checkpoint) {
  std::vector<TensorSummary> out;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    out.push_back({name, std::string(FormatName(tensor.StoredFormat())),
                   tensor.shape, tensor.bytes});
  }
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

bool HasPacked(const Checkpoint& checkpoint) {
  return std::any_of(
      checkpoint.tensors.begin(), checkpoint.tensors.end(),
      [](const auto& entry) { return entry.second.packed.has_value(); });
}

// Loads the tokenizer in parallel to the caller or, with a single thread, when
// the caller asks for the result. `checkpoint` must outlive the future.
std::future<absl::StatusOr<Tokenizer>> TokenizerInBackground(
    const Checkpoint& checkpoint, size_t num_rows, const Workers& workers) {
  const auto load = [&checkpoint, num_rows] {
    return LoadTokenizer(checkpoint, num_rows);
  };
  if (workers.num_threads() > 1) {
    try {
      return std::async(std::launch::async, load);
    } catch (const std::system_error&) {
      // The system has no more threads.
    }
  }
  return std::async(std::launch::deferred, load);
}

// Adds the tokens that end a text or a turn. Sorts these and the suppressed
// tokens, and removes repetitions and tokens that the model cannot produce.
void CompleteStopTokens(Model::Impl& impl) {
  std::vector<TokenId>& stops = impl.config.stop_tokens;
  if (impl.chat_template.ok() && impl.chat_template->end_of_turn() >= 0) {
    stops.push_back(impl.chat_template->end_of_turn());
  }
  if (impl.tokenizer.ok()) {
    const Tokenizer& tokenizer = *impl.tokenizer;
    stops.push_back(tokenizer.eos());
    // The second one is the name that fine-tunes with ChatML's turns use. After
    // the last two, Gemma 4 and FunctionGemma wait for the result of a call.
    for (const std::string_view name :
         {kGemma3Turns.close, std::string_view("<|im_end|>"),
          kGemma4Turns.close, kGemma4Turns.tools.open_result,
          kGemma3Turns.tools.open_result}) {
      const auto end = tokenizer.Find(name);
      if (end.has_value() && tokenizer.IsControl(*end)) stops.push_back(*end);
    }
  }
  std::sort(stops.begin(), stops.end());
  stops.erase(std::unique(stops.begin(), stops.end()), stops.end());
  std::vector<TokenId>& suppressed = impl.config.suppress_tokens;
  std::sort(suppressed.begin(), suppressed.end());
  suppressed.erase(std::unique(suppressed.begin(), suppressed.end()),
                   suppressed.end());
  for (std::vector<TokenId>* tokens : {&stops, &suppressed}) {
    std::erase_if(*tokens,
                  [&](TokenId token) { return !impl.config.has_token(token); });
  }
}

// The most checkpoints that a session makes on its own.
size_t NumCheckpoints(const ModelConfig& config,
                      const SessionOptions& options) {
  if (options.checkpoint_interval == 0) return 0;
  if (!HasGlobal(config)) return options.max_checkpoints;
  return std::min(options.max_checkpoints,
                  options.max_tokens / options.checkpoint_interval);
}

WantedTurns WantedTurnsOf(const LoadOptions& options,
                          const ModelConfig& config) {
  return {.of_file = options.turn_source == TurnSource::kFile,
          .of_gemma = options.turn_source == TurnSource::kGemma,
          // Only E2B and E4B of Gemma 4 have per-layer embeddings.
          .empty_thought = config.per_layer_dim == 0,
          // Gemma 3 is the first that was trained to call tools.
          .calls_in_json = config.qk_norm,
          .path = options.chat_template_file};
}

// Sets the tokenizer of the model, its turns and the tokens that end a text. A
// model may lack a tokenizer or turns, because it still computes; a broken
// tokenizer is an error, and so is a template that the caller names.
absl::Status TakeTokenizer(absl::StatusOr<Tokenizer> tokenizer,
                           std::string_view path, const Checkpoint& checkpoint,
                           const WantedTurns& wanted, Model::Impl& impl) {
  if (!tokenizer.ok() && !absl::IsNotFound(tokenizer.status())) {
    return tokenizer.status();
  }
  impl.tokenizer = std::move(tokenizer);
  if (impl.tokenizer.ok()) {
    GEMMA_RETURN_IF_ERROR(CheckTokenizer(*impl.tokenizer, impl.config, path));
    const absl::Span<const std::string> notes = impl.tokenizer->notes();
    impl.notes.insert(impl.notes.end(), notes.begin(), notes.end());
    impl.chat_template =
        ChooseChatTemplate(checkpoint, *impl.tokenizer, wanted, &impl.notes);
    if (!wanted.path.empty()) {
      GEMMA_RETURN_IF_ERROR(impl.chat_template.status());
    }
  }
  CompleteStopTokens(impl);
  return absl::OkStatus();
}

}  // namespace

ThreadCounts ThreadsFor(const LoadOptions& options) {
  const size_t all = options.thread_pool.has_value()
                         ? options.thread_pool->num_threads()
                         : NumThreads(options.num_threads);
  const size_t decode = options.num_decode_threads;
  return {all, decode != 0 ? std::min(decode, all) : all};
}

absl::StatusOr<Model> Model::Load(std::string_view path, LoadOptions options) {
  return NoThrow([&] { return LoadOrThrow(path, options); });
}

absl::StatusOr<Model> Model::LoadOrThrow(std::string_view path,
                                         const LoadOptions& options) {
  GEMMA_RETURN_IF_ERROR(CheckOptions(options));
  Model model(std::make_shared<Impl>());
  Impl& impl = *model.impl_;
  impl.prefill_chunk = options.prefill_chunk;
  impl.arithmetic = ArithmeticOf(options);
  const ThreadCounts threads = ThreadsFor(options);
  // Others may compute with a shared pool while the model is loaded.
  std::optional<Workers> loaders;
  if (options.thread_pool.has_value()) {
    impl.pool = options.thread_pool->impl();
    if (!options.skip_weights) loaders.emplace(threads.prefill);
  } else {
    impl.pool = std::make_shared<ThreadPool::Impl>(threads.prefill);
  }
  impl.workers = &impl.pool->workers();
  impl.num_decode_threads = threads.decode;
  GEMMA_ASSIGN_OR_RETURN(Checkpoint checkpoint,
                         OpenCheckpoint(std::string(path)));
  GEMMA_ASSIGN_OR_RETURN(Outline outline,
                         ReadOutline(checkpoint, options.recurrent_window));
  GEMMA_RETURN_IF_ERROR(AddAdapters(options.adapters, checkpoint, outline));
  impl.notes = outline.notes;
  const size_t grown = NumGrown(outline);
  if (grown > 0 && options.quantize == WeightType::kKeep) {
    impl.notes.push_back(FormatText(
        "%s: %u quantized matrices become float32, because adapters change "
        "them; quantizing them again (q8, q4 or the like) saves memory",
        path, grown));
  }
  impl.config = outline.config;
  impl.has_chat_template = checkpoint.has_chat_template;
  impl.prompts = outline.prompts;
  impl.tensors = Summaries(checkpoint);
  GEMMA_ASSIGN_OR_RETURN(impl.weights,
                         PlanWeights(checkpoint, outline, options.quantize));
  // This takes about as long as packing the weights of a small model.
  std::future<absl::StatusOr<Tokenizer>> tokenizer =
      TokenizerInBackground(checkpoint, impl.config.vocab_size, *impl.workers);
  const auto take_tokenizer = [&] {
    absl::Status status =
        TakeTokenizer(tokenizer.get(), path, checkpoint,
                      WantedTurnsOf(options, impl.config), impl);
    for (const Adapter& adapter : options.adapters) {
      if (!status.ok() || !impl.tokenizer.ok()) break;
      NoteAdapterText(adapter.path, checkpoint, *impl.tokenizer,
                      impl.config.vocab_size, impl.notes);
    }
    return status;
  };
  if (options.before_weights) {
    GEMMA_RETURN_IF_ERROR(take_tokenizer());
    GEMMA_RETURN_IF_ERROR(options.before_weights(model));
  }
  absl::StatusOr<Weights> weights = std::move(impl.weights);
  if (!options.skip_weights) {
    FixSimd();
    weights = LoadWeights(checkpoint, outline, options.quantize,
                          loaders.has_value() ? *loaders : *impl.workers,
                          options.progress);
  }
  if (tokenizer.valid()) {
    GEMMA_RETURN_IF_ERROR(take_tokenizer());
  }
  GEMMA_RETURN_IF_ERROR(weights.status());
  impl.weights = *std::move(weights);
  impl.has_weights = !options.skip_weights;
  for (BoundWeight& weight : outline.weights) {
    impl.weight_names.push_back({std::move(weight.spec), weight.name});
  }
  const bool reads_files =
      HasPacked(checkpoint) || impl.weights.table_bytes != 0;
  if (impl.has_weights && reads_files) {
    impl.files = std::move(checkpoint.files);
  }
  return model;
}

Model::Model(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;
Model::Model(const Model&) noexcept = default;
Model& Model::operator=(const Model&) noexcept = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

const ModelConfig& Model::config() const { return impl_->config; }

absl::StatusOr<const Tokenizer*> Model::tokenizer() const {
  return NoThrow([&]() -> absl::StatusOr<const Tokenizer*> {
    if (!impl_->tokenizer.ok()) {
      const absl::Status& status = impl_->tokenizer.status();
      return WithReason(absl::FailedPreconditionError(status.message()),
                        ReasonOf(status));
    }
    return &*impl_->tokenizer;
  });
}

bool Model::is_instruction_tuned() const { return impl_->has_chat_template; }

absl::StatusOr<ChatTemplate> Model::chat_template() const {
  return NoThrow([&]() -> absl::StatusOr<ChatTemplate> {
    GEMMA_RETURN_IF_ERROR(tokenizer().status());
    return impl_->chat_template;
  });
}

absl::StatusOr<std::vector<TokenId>> Model::Prompt(
    std::string_view text) const {
  return NoThrow([&]() -> absl::StatusOr<std::vector<TokenId>> {
    if (is_instruction_tuned()) {
      GEMMA_ASSIGN_OR_RETURN(const ChatTemplate turns, chat_template());
      return turns.UserTurn(text);
    }
    GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, this->tokenizer());
    GEMMA_ASSIGN_OR_RETURN(std::vector<TokenId> tokens,
                           tokenizer->Encode(text));
    tokens.insert(tokens.begin(), config().bos_token);
    return tokens;
  });
}

const std::vector<std::string>& Model::notes() const { return impl_->notes; }

const std::vector<TensorSummary>& Model::tensors() const {
  return impl_->tensors;
}

size_t Model::num_threads() const { return impl_->workers->num_threads(); }

// Declared in gemma/session.h.
CacheFormat CacheFormatFor(const Model& model, CacheFormat format) {
  const CacheType type = model.impl().CacheTypeOf(format);
  if (type == CacheType::kF32) return CacheFormat::kFloat32;
  return type == CacheType::kI8 ? CacheFormat::kInt8 : CacheFormat::kBFloat16;
}

MemoryUse Model::MemoryFor(const SessionOptions& options,
                           size_t num_sessions) const {
  const Impl& model = *impl_;
  const size_t max_rows = model.MaxRows();
  const bool pools = model.config.pooling != Pooling::kNone;
  const SequenceLimits limits = {
      options.max_tokens, options.max_rollback, max_rows,
      pools ? CacheType::kF32 : model.CacheTypeOf(options.cache_format)};
  MemoryUse use;
  use.weights = model.weights.bytes;
  use.mapped = model.weights.mapped_bytes;
  if (!pools) {
    use.weights_per_token =
        WeightsPerToken(model.weights, model.config, model.arithmetic);
  }
  use.table = model.weights.table_bytes;
  if (use.table != 0) {
    use.table_per_token = model.weights.per_layer_table.view.RowBytes();
  }
  if (Session::Impl::CheckOptions(options).ok()) {
    use.cache =
        Product({num_sessions, SequenceState::Bytes(model.config, limits)});
    use.checkpoints =
        Product({num_sessions, NumCheckpoints(model.config, options),
                 SequenceState::SnapshotBytes(model.config, limits)});
  } else {
    use.cache = kTooMuch;
  }
  use.scratch = Transformer::ScratchBytes(model.config, max_rows,
                                          model.workers->num_threads());
  if (!pools) {
    // The logits of the sessions, and those of a draft; see generate.h.
    use.scratch += Product({Sum({PassCosts::kMaxRows, num_sessions}),
                            model.config.vocab_size, sizeof(float)});
  }
  return use;
}

absl::StatusOr<Executor*> Model::Impl::executor() {
  return NoThrow([&]() -> absl::StatusOr<Executor*> {
    const std::lock_guard lock(mutex_);
    if (executor_ == nullptr) {
      GEMMA_ASSIGN_OR_RETURN(executor_, Executor::Create(config, weights, *pool,
                                                         {arithmetic, MaxRows(),
                                                          num_decode_threads}));
    }
    return executor_.get();
  });
}

absl::Status Model::Impl::WithBadWeight(absl::Status status) {
  if (ReasonOf(status) != ErrorReason::kNotFinite) return status;
  return NoThrow([&] {
    const std::lock_guard lock(mutex_);
    if (!bad_weight_.has_value()) {
      // Other threads may use those of the model.
      Workers scan(workers->num_threads());
      const NamedWeight* bad = FindNonFinite(weight_names, weights, scan);
      bad_weight_ = bad != nullptr
                        ? FormatText("tensor %s has a value that is not finite",
                                     Quoted(bad->name))
                        : "all weights are finite";
    }
    return WithReason(
        absl::Status(status.code(),
                     FormatText("%s: %s", status.message(), *bad_weight_)),
        ErrorReason::kNotFinite);
  });
}

size_t Model::Impl::MaxRows() const {
  if (config.pooling == Pooling::kNone) return prefill_chunk;
  return std::max(prefill_chunk, MaxPooledTokens(config));
}

CacheType Model::Impl::CacheTypeOf(CacheFormat format) const {
  if (format == CacheFormat::kFloat32) return CacheType::kF32;
  if (format == CacheFormat::kBFloat16) return CacheType::kBF16;
  if (format == CacheFormat::kInt8) return CacheType::kI8;
  return weights.embedding.view.layout == Layout::kF32 ? CacheType::kF32
                                                       : CacheType::kBF16;
}

}  // namespace gemma
