#include "gemma/embedder.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gemma/error_reason.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/status_macros.h"
#include "src/forward/executor.h"
#include "src/forward/segment.h"
#include "src/forward/sequence_state.h"
#include "src/session/model_impl.h"

namespace gemma {
namespace {

// BOS and EOS.
constexpr size_t kEnds = 2;

using Tokens = std::vector<TokenId>;

absl::Status CheckOptions(const EmbedOptions& options, size_t dimensions) {
  if (options.dimensions > dimensions) {
    return absl::InvalidArgumentError(FormatText(
        "dimensions is %u, the model has %u", options.dimensions, dimensions));
  }
  if (options.prompt.empty() && !options.use_default_prompt &&
      !options.title.empty()) {
    return absl::InvalidArgumentError("a title needs a prompt");
  }
  return absl::OkStatus();
}

// Returns <bos> text <eos>. Cuts the text as the reference does, whose
// tokenizer leaves room for the ends.
absl::StatusOr<Tokens> TokensOf(const Model& model, std::string_view text,
                                size_t max_tokens, bool* is_cut) {
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, model.tokenizer());
  GEMMA_ASSIGN_OR_RETURN(Tokens tokens, tokenizer->Encode(text));
  *is_cut = tokens.size() > max_tokens - kEnds;
  if (*is_cut) tokens.resize(max_tokens - kEnds);
  tokens.insert(tokens.begin(), model.config().bos_token);
  tokens.push_back(tokenizer->eos());
  return tokens;
}

// The order in which texts are computed: the longest first, so that the texts
// of a pass have similar lengths.
std::vector<size_t> ByLength(const std::vector<Tokens>& texts) {
  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return texts[a].size() > texts[b].size();
  });
  return order;
}

// The end of the pass that begins with order[begin]: it has as many texts as
// fit in `rows` tokens, but at least one.
size_t EndOfPass(const std::vector<Tokens>& texts,
                 const std::vector<size_t>& order, size_t begin, size_t rows) {
  size_t end = begin;
  size_t used = 0;
  while (end < order.size()) {
    used += texts[order[end]].size();
    if (end > begin && used > rows) break;
    ++end;
  }
  return end;
}

// Embeds the texts `which` in one pass, to `out` [which.size(), dimensions].
absl::Status RunPass(Executor& executor, const ModelConfig& config,
                     const std::vector<Tokens>& texts,
                     absl::Span<const size_t> which, std::vector<float>& out) {
  std::vector<SequenceState> states;
  states.reserve(which.size());
  std::vector<Segment> segments;
  for (const size_t text : which) {
    // Keys are used only within a layer of the pass, so rounding them saves
    // nothing.
    const size_t size = texts[text].size();
    const SequenceLimits limits = {size, 0, size, CacheType::kF32};
    GEMMA_ASSIGN_OR_RETURN(SequenceState state,
                           SequenceState::Create(config, limits));
    states.push_back(std::move(state));
    segments.push_back(
        {&states.back(), texts[text], /*position=*/0, WantedLogits::kNone});
  }
  out.resize(which.size() * config.embedding_dim());
  return executor.Embed(segments,
                        {out.data(), which.size(), config.embedding_dim()});
}

// Writes the first out.size() values of `from` to `out`, and normalizes them if
// wanted. `text`: its index, for the error if a value is not finite.
absl::Status Finish(absl::Span<const float> from, bool normalize, size_t text,
                    absl::Span<float> out) {
  std::copy_n(from.begin(), out.size(), out.begin());
  double squares = 0;
  for (const float value : out) squares += double{value} * value;
  if (!std::isfinite(squares)) {
    return WithReason(
        absl::DataLossError(FormatText(
            "the embedding of text %u has a value that is not finite",
            text + 1)),
        ErrorReason::kNotFinite);
  }
  if (!normalize) return absl::OkStatus();
  // As in PyTorch, a vector of zeros stays a vector of zeros.
  const double length = std::max(std::sqrt(squares), 1e-12);
  for (float& value : out) value = static_cast<float>(value / length);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Embedder> Embedder::Create(const Model& model,
                                          EmbedderOptions options) {
  return NoThrow([&]() -> absl::StatusOr<Embedder> {
    if (model.config().pooling == Pooling::kNone) {
      return absl::FailedPreconditionError(
          "the model continues texts, wanted one that embeds them, such as "
          "EmbeddingGemma");
    }
    if (!model.impl().has_weights) {
      return absl::FailedPreconditionError(
          "the model was loaded without its weights");
    }
    GEMMA_RETURN_IF_ERROR(model.tokenizer().status());
    const size_t most = MaxPooledTokens(model.config());
    if (most < kEnds) {
      return absl::FailedPreconditionError(FormatText(
          "the model was made for texts of %u tokens, wanted %u or more", most,
          kEnds));
    }
    if (options.max_tokens != 0 &&
        (options.max_tokens < kEnds || options.max_tokens > most)) {
      return absl::InvalidArgumentError(
          FormatText("max_tokens is %u, wanted %u to %u", options.max_tokens,
                     kEnds, most));
    }
    GEMMA_RETURN_IF_ERROR(model.impl().executor().status());
    return Embedder(model, options.max_tokens != 0 ? options.max_tokens : most);
  });
}

MemoryUse Embedder::MemoryFor(const Model& model, EmbedderOptions options) {
  const size_t most = MaxPooledTokens(model.config());
  const size_t text = options.max_tokens != 0 ? options.max_tokens : most;
  // The texts of a pass together have at most this many tokens.
  return model.MemoryFor(
      {.max_tokens = std::max(text, model.impl().prefill_chunk)});
}

absl::StatusOr<Embeddings> Embedder::Embed(absl::Span<const std::string> texts,
                                           const EmbedOptions& options) const {
  absl::StatusOr<Embeddings> embeddings =
      NoThrow([&] { return EmbedTexts(texts, options); });
  if (embeddings.ok()) return embeddings;
  return model_.impl().WithBadWeight(embeddings.status());
}

absl::StatusOr<Embeddings> Embedder::EmbedTexts(
    absl::Span<const std::string> texts, const EmbedOptions& options) const {
  GEMMA_RETURN_IF_ERROR(CheckOptions(options, dimensions()));
  std::string prefix;
  if (!options.prompt.empty() || options.use_default_prompt) {
    GEMMA_ASSIGN_OR_RETURN(prefix, Prefix(options.prompt, options.title));
  }
  Embeddings result;
  result.dimensions =
      options.dimensions != 0 ? options.dimensions : dimensions();
  std::vector<Tokens> tokens;
  for (size_t i = 0; i < texts.size(); ++i) {
    bool is_cut = false;
    GEMMA_ASSIGN_OR_RETURN(
        tokens.emplace_back(),
        TokensOf(model_, absl::StrCat(prefix, texts[i]), max_tokens_, &is_cut));
    result.num_tokens.push_back(tokens.back().size());
    if (is_cut) result.truncated.push_back(i);
  }
  result.values.resize(texts.size() * result.dimensions);

  GEMMA_ASSIGN_OR_RETURN(Executor * executor, model_.impl().executor());
  const std::vector<size_t> order = ByLength(tokens);
  std::vector<float> vectors;
  for (size_t begin = 0; begin < order.size();) {
    const size_t end =
        EndOfPass(tokens, order, begin, model_.impl().prefill_chunk);
    const auto pass = absl::MakeSpan(order).subspan(begin, end - begin);
    GEMMA_RETURN_IF_ERROR(
        RunPass(*executor, model_.config(), tokens, pass, vectors));
    for (size_t i = 0; i < pass.size(); ++i) {
      GEMMA_RETURN_IF_ERROR(Finish(
          absl::MakeSpan(vectors).subspan(i * dimensions(), dimensions()),
          options.normalize, pass[i],
          absl::MakeSpan(result.values)
              .subspan(pass[i] * result.dimensions, result.dimensions)));
    }
    begin = end;
    if (options.progress && !options.progress(begin)) {
      return absl::CancelledError("embedding was cancelled");
    }
  }
  return result;
}

size_t Embedder::dimensions() const { return model_.config().embedding_dim(); }

bool Embedder::has_dense_layers() const {
  return !model_.config().dense_dims.empty();
}

}  // namespace gemma
