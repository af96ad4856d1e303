#include "tests/support/toy_models.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/status/statusor.h"
#include "src/formats/npz.h"

namespace gemma::internal {
namespace {

// Ends the test program on failure, because the tests cannot run without their
// data.
template <class T>
T ValueOrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

void OrDie(const absl::Status& status) {
  ValueOrDie<int>(status.ok() ? absl::StatusOr<int>(0) : status);
}

std::vector<uint8_t> ReadBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file),
          std::istreambuf_iterator<char>()};
}

}  // namespace

const std::vector<Toy>& AllToys() {
  constexpr auto kDeepMind = RecurrentWindow::kDeepMind;
  constexpr auto kTransformers = RecurrentWindow::kTransformers;
  static const auto* toys = new std::vector<Toy>{
      {"gemma", "gemma"},
      {"gemma_mha", "gemma_mha"},
      {"gemma2", "gemma2"},
      {"gemma2_odd", "gemma2_odd"},
      {"gemma2_wide_head", "gemma2_wide_head"},
      {"gemma3", "gemma3"},
      {"gemma3_noscale", "gemma3_noscale"},
      {"gemma3_4groups", "gemma3_4groups"},
      {"gemma3_nested", "gemma3_nested"},
      {"gemma3n", "gemma3n"},
      {"gemma4_e2b", "gemma4_e2b"},
      {"gemma4_31b", "gemma4_31b"},
      {"gemma4_moe", "gemma4_moe"},
      {"recurrent_transformers", "recurrent_gemma", kTransformers},
      {"recurrent_deepmind", "recurrent_gemma", kDeepMind, "out_deepmind"},
      {"recurrent_48_transformers", "recurrent_gemma_48", kTransformers},
      {"recurrent_48_deepmind", "recurrent_gemma_48", kDeepMind,
       "out_deepmind"},
  };
  return *toys;
}

std::string ToyPath(const std::string& folder) {
  return std::string(GEMMA_TESTDATA_DIR) + "/models/" + folder;
}

Model LoadOrDie(const std::string& path, const LoadOptions& options) {
  return ValueOrDie(Model::Load(path, options));
}

Model LoadExact(const std::string& path) {
  LoadOptions options;
  options.activations = Activations::kFloat32;
  return LoadOrDie(path, options);
}

Model LoadToy(const Toy& toy, size_t num_threads, size_t chunk) {
  LoadOptions options;
  options.num_threads = num_threads;
  options.prefill_chunk = chunk;
  options.recurrent_window = toy.window;
  options.activations = Activations::kFloat32;
  return LoadOrDie(ToyPath(toy.folder), options);
}

std::vector<float> ReadFloats(const std::string& path,
                              const std::string& name) {
  const std::vector<uint8_t> bytes = ReadBytes(path);
  const Npz npz = ValueOrDie(Npz::Parse(bytes, path));
  NpzArray array = ValueOrDie(npz.Open(name));
  size_t size = 1;
  for (const size_t n : array.header().shape) size *= n;
  std::vector<float> values(size);
  OrDie(array.Read(absl::MakeSpan(values)));
  OrDie(array.Finish());
  return values;
}

std::vector<TokenId> ReadTokens(const std::string& path,
                                const std::string& name) {
  const std::vector<uint8_t> bytes = ReadBytes(path);
  const Npz npz = ValueOrDie(Npz::Parse(bytes, path));
  NpzArray array = ValueOrDie(npz.Open(name));
  const auto values = ValueOrDie(array.ReadIntegers(1 << 20));
  return {values.begin(), values.end()};
}

Reference ReadReference(const Toy& toy) {
  const std::string path = ToyPath(toy.folder) + "/reference.npz";
  return {ReadTokens(path, "ids"), ReadFloats(path, toy.logits)};
}

Session NewSession(const Model& model, SessionOptions options) {
  return ValueOrDie(Session::Create(model, options));
}

std::vector<TokenId> TokensOf(const Session& session) {
  return {session.tokens().begin(), session.tokens().end()};
}

std::vector<float> AllLogits(Session& session,
                             const std::vector<TokenId>& tokens) {
  const size_t vocab_size = session.model().config().vocab_size;
  std::vector<float> logits(tokens.size() * vocab_size);
  OrDie(session.ForwardAll(tokens, absl::MakeSpan(logits)));
  return logits;
}

std::vector<float> AllLogits(const Model& model,
                             const std::vector<TokenId>& tokens) {
  Session session = NewSession(model);
  return AllLogits(session, tokens);
}

}  // namespace gemma::internal
