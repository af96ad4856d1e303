// Prints a model's active features while it writes: features MODEL SAE PROMPT
//
// SAE is a sparse autoencoder of Gemma Scope: a folder with params.npz, or with
// params.safetensors and config.json. Each generated token is followed by the
// three strongest features that the autoencoder finds in it.

#include <iostream>
#include <string_view>

#include "gemma/gemma.h"

absl::Status Watch(const char* model_path, const char* sae_path,
                   std::string_view prompt) {
  const auto model = gemma::Model::Load(model_path);
  if (!model.ok()) return model.status();
  const auto autoencoder = gemma::SparseAutoencoder::Load(sae_path);
  if (!autoencoder.ok()) return autoencoder.status();
  const auto tokenizer = model->tokenizer();
  if (!tokenizer.ok()) return tokenizer.status();
  auto tokens = (*tokenizer)->Encode(prompt);
  if (!tokens.ok()) return tokens.status();
  tokens->insert(tokens->begin(), (*tokenizer)->bos());

  gemma::FeatureTapOptions options;
  options.readers = {{.autoencoder = &*autoencoder, .top_k = 3}};
  options.on_features = [&](const gemma::TokenFeatures& of) {
    if (of.position < tokens->size()) return;  // part of the prompt
    std::cout << "\t";
    for (const gemma::Feature& feature : of.features) {
      std::cout << " " << feature.index << ":" << feature.value;
    }
    std::cout << std::endl;
  };
  auto tap = gemma::FeatureTap(*model, options);
  if (!tap.ok()) return tap.status();
  auto session = gemma::Session::Create(*model);
  if (!session.ok()) return session.status();
  session->SetTap(*std::move(tap));

  gemma::GenerateOptions generate;
  generate.max_new_tokens = 32;
  generate.sampling.temperature = 0;
  // The model reads a token after it is printed and before the next one is: the
  // token's features are reported then.
  generate.on_token = [](const gemma::ScoredToken& token) {
    std::cout << token.piece << std::flush;
  };
  return gemma::Generate(*session, *tokens, generate,
                         [](std::string_view) { return true; })
      .status();
}

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: features MODEL SAE PROMPT\n";
    return 2;
  }
  const absl::Status status = Watch(argv[1], argv[2], argv[3]);
  if (!status.ok()) std::cerr << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
