#include "tests/support/input_rows.h"

#include <cstdio>
#include <cstdlib>
#include <random>
#include <utility>

#include "ops/ops.h"
#include "src/forward/word_view.h"
#include "src/session/model_impl.h"

namespace gemma::internal {
namespace {

InputRows RowsOrDie(std::vector<float> values, size_t model_dim, RowMask mask) {
  absl::StatusOr<InputRows> rows =
      InputRows::Create(std::move(values), model_dim, mask);
  if (!rows.ok()) {
    std::fprintf(stderr, "%s\n", rows.status().ToString().c_str());
    std::abort();
  }
  return *std::move(rows);
}

}  // namespace

InputRows EmbeddingsOf(const Model& model, absl::Span<const TokenId> tokens,
                       RowMask mask) {
  const size_t model_dim = model.config().model_dim;
  std::vector<float> values(tokens.size() * model_dim);
  for (size_t i = 0; i < tokens.size(); ++i) {
    Embed(model.impl().weights.embedding.view, static_cast<size_t>(tokens[i]),
          model.config().embedding_scale,
          {values.data() + i * model_dim, model_dim});
  }
  return RowsOrDie(std::move(values), model_dim, mask);
}

Words WithEmbeddings(const Model& model, const std::vector<TokenId>& tokens,
                     size_t begin, size_t end, RowMask mask) {
  const auto all = absl::MakeConstSpan(tokens);
  Words words;
  words.Append(all.first(begin));
  words.Append(EmbeddingsOf(model, all.subspan(begin, end - begin), mask));
  words.Append(all.subspan(end));
  return words;
}

InputRows RandomRows(const Model& model, size_t count, RowMask mask,
                     uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> values(count * model.config().model_dim);
  for (float& value : values) {
    value = static_cast<float>(random() >> 40) / (1 << 23) - 1.0f;
  }
  return RowsOrDie(std::move(values), model.config().model_dim, mask);
}

std::vector<float> AllLogits(Session& session, const Words& words) {
  std::vector<float> logits(words.size() * session.model().config().vocab_size);
  const absl::Status status = session.ForwardAll(words, absl::MakeSpan(logits));
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    std::abort();
  }
  return logits;
}

Words WordsFrom(const Words& words, size_t begin) {
  Words rest;
  WordView(words).From(begin).AppendTo(rest);
  return rest;
}

}  // namespace gemma::internal
