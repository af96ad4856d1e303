// Measures what a prefill gains from layers that store no keys, where most rows
// are dropped: dropped_rows_benchmark MODEL [TOKENS [REPETITIONS]]
//
// A tap that does nothing keeps all rows. Both kinds of prefill take turns.
// Prints the tokens per second of each, and the median of the pairs' ratios.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "benchmarks/command_line.h"
#include "gemma/gemma.h"

namespace gemma::internal {
namespace {

// Returns the seconds of a prefill with logits for its last token.
double PrefillSeconds(const Model& model, const std::vector<TokenId>& tokens,
                      bool keep_all) {
  auto session = Session::Create(model);
  if (!session.ok()) Fail(session.status().ToString());
  if (keep_all) session->SetTap([](const TapSite&, absl::Span<float>) {});
  const auto start = std::chrono::steady_clock::now();
  const auto logits = session->Forward(tokens);
  if (!logits.ok()) Fail(logits.status().ToString());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void Run(const char* path, size_t num_tokens, size_t repetitions) {
  const auto model = Model::Load(path);
  if (!model.ok()) Fail(model.status().ToString());
  std::vector<TokenId> tokens = {model->config().bos_token};
  while (tokens.size() < num_tokens) {
    tokens.push_back(static_cast<TokenId>(1000 + tokens.size() * 37 % 5000));
  }
  PrefillSeconds(*model, tokens, /*keep_all=*/false);
  std::vector<double> dropped, kept, ratios;
  for (size_t i = 0; i < repetitions; ++i) {
    dropped.push_back(PrefillSeconds(*model, tokens, /*keep_all=*/false));
    kept.push_back(PrefillSeconds(*model, tokens, /*keep_all=*/true));
    ratios.push_back(kept.back() / dropped.back());
  }
  const double count = static_cast<double>(num_tokens);
  std::printf("rows dropped: %.1f tokens/s\nall rows:     %.1f tokens/s\n",
              count / Median(dropped), count / Median(kept));
  std::printf("ratio: %.2f (%.2f to %.2f)\n", Median(ratios),
              *std::ranges::min_element(ratios),
              *std::ranges::max_element(ratios));
}

}  // namespace
}  // namespace gemma::internal

int main(int argc, char** argv) {
  const auto number = [&](int index, size_t otherwise) -> size_t {
    const long given = argc > index ? std::strtol(argv[index], nullptr, 10) : 0;
    return given > 0 ? static_cast<size_t>(given) : otherwise;
  };
  if (argc < 2) {
    gemma::internal::Fail(
        "usage: dropped_rows_benchmark MODEL [TOKENS [REPETITIONS]]");
  }
  gemma::internal::Run(argv[1], number(2, 512), number(3, 7));
}
