// The ways in which files differ in how they store weights.

#ifndef GEMMA_SRC_MODEL_CONFIG_CONVENTIONS_H_
#define GEMMA_SRC_MODEL_CONFIG_CONVENTIONS_H_

namespace gemma::internal {

// Selects which field of WeightNames names the tensors.
enum class Naming {
  kGguf,            // GGUF files; also gemma.cpp's tensors once they are read
  kHf,              // Hugging Face: Gemma
  kHfGemma1,        // Gemma 1, whose norms have other names
  kHfRecurrent,     // RecurrentGemma
  kHfEmbedding2,    // EmbeddingGemma 2
  kGgufEmbedding2,  // likewise, in GGUF files
};

// How the files of a checkpoint store weights; depends on the model family.
struct Conventions {
  Naming naming = Naming::kGguf;
  bool norms_minus_one = false;  // norm weights are stored minus one
  bool stores_log_a = false;     // -8 softplus(a_param) instead of a_param
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_CONFIG_CONVENTIONS_H_
