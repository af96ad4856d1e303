#include "src/embed/embed_pass.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gemma/error_reason.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/forward/segment.h"
#include "src/forward/sequence_state.h"

namespace gemma::internal {
namespace {

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
absl::StatusOr<std::vector<TokenId>> TokensOf(const Model& model,
                                              std::string_view text,
                                              size_t max_tokens, bool* is_cut) {
  GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, model.tokenizer());
  GEMMA_ASSIGN_OR_RETURN(std::vector<TokenId> tokens, tokenizer->Encode(text));
  *is_cut = tokens.size() > max_tokens - kTextEnds;
  if (*is_cut) tokens.resize(max_tokens - kTextEnds);
  tokens.insert(tokens.begin(), model.config().bos_token);
  tokens.push_back(tokenizer->eos());
  return tokens;
}

}  // namespace

absl::StatusOr<EmbedJob> EmbedJob::Create(const Model& model,
                                          const Embedder& embedder,
                                          absl::Span<const std::string> texts,
                                          const EmbedOptions& options) {
  GEMMA_RETURN_IF_ERROR(CheckOptions(options, embedder.dimensions()));
  std::string prefix;
  if (!options.prompt.empty() || options.use_default_prompt) {
    GEMMA_ASSIGN_OR_RETURN(prefix,
                           embedder.Prefix(options.prompt, options.title));
  }
  EmbedJob job;
  job.normalize_ = options.normalize;
  job.result_.dimensions =
      options.dimensions != 0 ? options.dimensions : embedder.dimensions();
  for (size_t i = 0; i < texts.size(); ++i) {
    bool is_cut = false;
    GEMMA_ASSIGN_OR_RETURN(job.tokens_.emplace_back(),
                           TokensOf(model, absl::StrCat(prefix, texts[i]),
                                    embedder.max_tokens(), &is_cut));
    const size_t size = job.tokens_.back().size();
    job.num_tokens_ += size;
    job.result_.num_tokens.push_back(size);
    if (is_cut) job.result_.truncated.push_back(i);
  }
  job.result_.values.resize(texts.size() * job.result_.dimensions);
  job.order_.resize(texts.size());
  std::iota(job.order_.begin(), job.order_.end(), size_t{0});
  std::stable_sort(job.order_.begin(), job.order_.end(),
                   [&](size_t a, size_t b) {
                     return job.tokens_[a].size() > job.tokens_[b].size();
                   });
  return job;
}

absl::Status EmbedJob::Took(absl::Span<const float> vector) {
  const size_t text = order_[next_++];
  const absl::Span<float> out =
      absl::MakeSpan(result_.values)
          .subspan(text * result_.dimensions, result_.dimensions);
  std::copy_n(vector.begin(), out.size(), out.begin());
  double squares = 0;
  for (const float value : out) squares += double{value} * value;
  if (!std::isfinite(squares)) {
    return WithReason(
        absl::DataLossError(FormatText(
            "the embedding of text %u has a value that is not finite",
            text + 1)),
        ErrorReason::kNotFinite);
  }
  if (!normalize_) return absl::OkStatus();
  // As in PyTorch, a vector of zeros stays a vector of zeros.
  const double length = std::max(std::sqrt(squares), 1e-12);
  for (float& value : out) value = static_cast<float>(value / length);
  return absl::OkStatus();
}

absl::Status RunEmbedPass(Executor& executor, const ModelConfig& config,
                          absl::Span<const std::vector<TokenId>* const> texts,
                          std::vector<float>& out) {
  std::vector<SequenceState> states;
  states.reserve(texts.size());
  std::vector<Segment> segments;
  for (const std::vector<TokenId>* const text : texts) {
    // Keys are used only within a layer of the pass, so rounding them saves
    // nothing.
    const SequenceLimits limits = {text->size(), 0, text->size(),
                                   CacheType::kF32};
    GEMMA_ASSIGN_OR_RETURN(SequenceState state,
                           SequenceState::Create(config, limits));
    states.push_back(std::move(state));
    segments.push_back(
        {&states.back(), *text, /*position=*/0, WantedLogits::kNone});
  }
  out.resize(texts.size() * config.embedding_dim());
  return executor.Embed(segments,
                        {out.data(), texts.size(), config.embedding_dim()});
}

}  // namespace gemma::internal
