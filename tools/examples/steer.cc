// Steers a model through its activations: steer MODEL PROMPT OTHER STRENGTH
//
// The direction is the mean output of a middle layer for OTHER, minus that for
// PROMPT. While the model continues PROMPT, STRENGTH times the direction is
// added to the residual stream after that layer (Turner et al., arXiv
// 2308.10248).

#include <cstdlib>
#include <iostream>
#include <string_view>
#include <vector>

#include "gemma/gemma.h"

using Tokens = std::vector<gemma::TokenId>;

// Returns the residual stream [model_dim] after `layer`: the mean over all
// tokens except BOS.
absl::StatusOr<std::vector<float>> MeanOutput(const gemma::Model& model,
                                              const Tokens& tokens,
                                              size_t layer) {
  auto session = gemma::Session::Create(model);
  if (!session.ok()) return session.status();
  const size_t dim = model.config().model_dim;
  std::vector<float> mean(dim);
  session->SetTap([&](const gemma::TapSite& site, absl::Span<float> rows) {
    if (site.point != gemma::TapPoint::kBlockOutput || site.layer != layer) {
      return;
    }
    for (size_t row = site.position == 0 ? 1 : 0; row < site.num_rows; ++row) {
      for (size_t i = 0; i < dim; ++i) {
        mean[i] += rows[row * dim + i] / static_cast<float>(tokens.size() - 1);
      }
    }
  });
  const absl::Status status = session->Append(tokens);
  if (!status.ok()) return status;
  return mean;
}

// Returns BOS and the text's tokens, at least one.
absl::StatusOr<Tokens> Encode(const gemma::Model& model,
                              std::string_view text) {
  const auto tokenizer = model.tokenizer();
  if (!tokenizer.ok()) return tokenizer.status();
  const auto encoded = (*tokenizer)->Encode(text);
  if (!encoded.ok()) return encoded.status();
  if (encoded->empty()) return absl::InvalidArgumentError("a text is empty");
  Tokens tokens = {(*tokenizer)->bos()};
  tokens.insert(tokens.end(), encoded->begin(), encoded->end());
  return tokens;
}

absl::Status Steer(const char* path, std::string_view prompt,
                   std::string_view other, float strength) {
  const auto model = gemma::Model::Load(path);
  if (!model.ok()) return model.status();
  const auto tokens = Encode(*model, prompt);
  if (!tokens.ok()) return tokens.status();
  const auto other_tokens = Encode(*model, other);
  if (!other_tokens.ok()) return other_tokens.status();

  const size_t layer = model->config().num_layers() / 2;
  const auto from = MeanOutput(*model, *tokens, layer);
  if (!from.ok()) return from.status();
  const auto towards = MeanOutput(*model, *other_tokens, layer);
  if (!towards.ok()) return towards.status();

  auto session = gemma::Session::Create(*model);
  if (!session.ok()) return session.status();
  session->SetTap([&](const gemma::TapSite& site, absl::Span<float> rows) {
    if (site.point != gemma::TapPoint::kBlockOutput || site.layer != layer) {
      return;
    }
    for (size_t i = 0; i < rows.size(); ++i) {
      const size_t at = i % from->size();
      rows[i] += strength * ((*towards)[at] - (*from)[at]);
    }
  });
  gemma::GenerateOptions options;
  options.max_new_tokens = 64;
  options.sampling.temperature = 0;
  return gemma::Generate(*session, *tokens, options,
                         [](std::string_view text) {
                           std::cout << text << std::flush;
                           return true;
                         })
      .status();
}

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: steer MODEL PROMPT OTHER STRENGTH\n";
    return 2;
  }
  const absl::Status status =
      Steer(argv[1], argv[2], argv[3], std::strtof(argv[4], nullptr));
  if (!status.ok()) std::cerr << status.message() << "\n";
  std::cout << "\n";
  return status.ok() ? 0 : 1;
}
