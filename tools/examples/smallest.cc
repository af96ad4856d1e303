// Continues a text, and does nothing else: smallest MODEL TEXT
//
// include/gemma/README.md says how small it gets, and with which options.

#include <cstdio>
#include <string>
#include <string_view>

#include "gemma/gemma.h"

namespace {

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: smallest MODEL TEXT\n", stderr);
    return 2;
  }
  const auto model = gemma::Model::Load(argv[1]);
  if (!model.ok()) return Fail(model.status());
  auto session = gemma::Session::Create(*model);
  if (!session.ok()) return Fail(session.status());
  const auto prompt = model->Prompt(argv[2]);
  if (!prompt.ok()) return Fail(prompt.status());
  gemma::GenerateOptions options;
  options.max_new_tokens = 64;
  options.sampling.temperature = 0;
  const auto print = [](std::string_view text) {
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  };
  const auto stats = gemma::Generate(*session, *prompt, options, print);
  if (!stats.ok()) return Fail(stats.status());
  std::puts("");
  return 0;
}
