// The toy models of tests/testdata/models, and the results of the reference
// implementations; see tools/reference/toy_models.py.

#ifndef GEMMA_TESTS_SUPPORT_TOY_MODELS_H_
#define GEMMA_TESTS_SUPPORT_TOY_MODELS_H_

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

#include "gemma/gemma.h"

namespace gemma::internal {

// A toy model and the reference that its logits must equal.
struct Toy {
  std::string name;    // for test names: letters, digits and underscores
  std::string folder;  // in tests/testdata/models
  RecurrentWindow window = RecurrentWindow::kDeepMind;
  std::string logits = "out";  // array of reference.npz

  friend void PrintTo(const Toy& toy, std::ostream* out) { *out << toy.name; }
};

// Returns toys of each architecture and shape, with float32 weights.
const std::vector<Toy>& AllToys();

// Returns the path of a folder in tests/testdata/models.
std::string ToyPath(const std::string& folder);

// The threads of toys where their number does not matter. Two threads mostly
// wait for each other in passes that are so short, on cores that other tests
// could use. Only the thread sanitizer needs two.
#ifdef __SANITIZE_THREAD__
inline constexpr size_t kToyThreads = 2;
#else
inline constexpr size_t kToyThreads = 1;
#endif

// Loads a toy, or ends the test program.
Model LoadToy(const Toy& toy, size_t num_threads = kToyThreads,
              size_t chunk = 256);
Model LoadOrDie(const std::string& path, const LoadOptions& options);
// Loads a model with activations in float32.
Model LoadExact(const std::string& path);

// Return arrays of an .npz file.
std::vector<float> ReadFloats(const std::string& path, const std::string& name);
std::vector<TokenId> ReadTokens(const std::string& path,
                                const std::string& name);

struct Reference {
  std::vector<TokenId> tokens;
  std::vector<float> logits;  // [tokens.size(), vocab_size]
};
Reference ReadReference(const Toy& toy);

Session NewSession(const Model& model, SessionOptions options = {});

// Returns a copy of the session's tokens.
std::vector<TokenId> TokensOf(const Session& session);

// Appends the tokens to `session` and returns the logits [tokens.size(),
// vocab_size] of every position.
std::vector<float> AllLogits(Session& session,
                             const std::vector<TokenId>& tokens);
std::vector<float> AllLogits(const Model& model,
                             const std::vector<TokenId>& tokens);

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_TOY_MODELS_H_
