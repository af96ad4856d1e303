// The cost of a sparse autoencoder while a model decodes. Tokens with and
// without it take turns, so that other load on the machine slows both alike.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "benchmarks/command_line.h"
#include "gemma/gemma.h"
#include "src/scope/autoencoder_impl.h"
#include "src/session/model_impl.h"

namespace gemma::internal {
namespace {

constexpr char kUsage[] =
    "usage: scope_benchmark MODEL AUTOENCODER [--threads N]\n"
    "Decodes with the autoencoder in float32, bfloat16 and int8 and without\n"
    "it, a token each in turn, and prints the median time of a token.\n";

constexpr size_t kPromptTokens = 64;
constexpr size_t kRounds = 40;

struct Variant {
  std::string name;
  SparseAutoencoder autoencoder;
  std::vector<double> seconds = {};
};

template <class T>
T ValueOrFail(absl::StatusOr<T> value) {
  if (!value.ok()) Fail(std::string(value.status().message()));
  return *std::move(value);
}

double Median(std::vector<double> values) {
  const auto middle =
      values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Returns tokens that differ, like those of a text.
TokenId TokenAt(size_t i) { return static_cast<TokenId>(100 + 7 * i % 1000); }

double TimeToken(Session& session, TokenId token) {
  const auto start = std::chrono::steady_clock::now();
  ValueOrFail(session.ForwardTop({&token, 1}, /*top_k=*/1));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

void Run(const std::string& model_path, const std::string& path,
         size_t threads) {
  LoadOptions options;
  options.num_threads = threads;
  const Model model = ValueOrFail(Model::Load(model_path, options));
  std::vector<Variant> variants;
  for (const auto& [name, weights] :
       {std::pair("float32", FeatureWeights::kFloat32),
        std::pair("bfloat16", FeatureWeights::kBFloat16),
        std::pair("int8", FeatureWeights::kInt8)}) {
    variants.push_back(
        {name, ValueOrFail(SparseAutoencoder::Load(path, {weights}))});
  }
  Session session = ValueOrFail(Session::Create(model, {}));
  for (size_t i = 0; i < kPromptTokens; ++i) {
    TimeToken(session, TokenAt(i));
  }

  std::vector<double> without;
  size_t active = 0;
  for (size_t round = 0; round < kRounds; ++round) {
    const TokenId token = TokenAt(round);
    session.SetTap(nullptr);
    without.push_back(TimeToken(session, token));
    for (Variant& variant : variants) {
      const SparseAutoencoder& autoencoder = variant.autoencoder;
      session.SetTap([&](const TapSite& site, absl::Span<float> x) {
        const FeatureSite& wanted = autoencoder.site();
        if (site.point != wanted.input || site.layer != wanted.layer) return;
        if (x.size() % autoencoder.input_dim() != 0) {
          Fail("the autoencoder does not fit this model");
        }
        active += ValueOrFail(autoencoder.impl().Encode(
            x, /*top_k=*/0, *model.impl().workers))[0]
                      .size();
      });
      variant.seconds.push_back(TimeToken(session, token));
    }
  }

  const double base = Median(without);
  std::printf("%zu features, %.0f active; %.2f ms a token without\n",
              variants[0].autoencoder.num_features(),
              static_cast<double>(active) / (3.0 * kRounds), 1e3 * base);
  for (const Variant& variant : variants) {
    const double seconds = Median(variant.seconds);
    std::printf("%-8s %8.1f MB %8.2f ms a token: %5.1f %% fewer tokens/s\n",
                variant.name.c_str(),
                static_cast<double>(variant.autoencoder.memory_bytes()) / 1e6,
                1e3 * seconds, 100 * (1 - base / seconds));
  }
}

}  // namespace
}  // namespace gemma::internal

int main(int argc, char** argv) {
  if (gemma::internal::TakeFlag("--help", &argc, argv)) {
    std::fputs(gemma::internal::kUsage, stdout);
    return 0;
  }
  const size_t threads = gemma::internal::TakeThreads(&argc, argv);
  if (threads == 0) return 2;
  if (argc != 3) {
    std::fputs(gemma::internal::kUsage, stderr);
    return 2;
  }
  gemma::internal::Run(argv[1], argv[2], threads);
  return 0;
}
