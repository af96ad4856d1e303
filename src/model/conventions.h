// What files may write in more ways than one.

#ifndef GEMMA_SRC_MODEL_CONVENTIONS_H_
#define GEMMA_SRC_MODEL_CONVENTIONS_H_

namespace gemma {

// Which of the names of WeightNames tensors have.
enum class Naming {
  kGguf,         // GGUF files; gemma.cpp's get these names when they are read
  kHf,           // Hugging Face: Gemma
  kHfGemma1,     // Gemma 1, whose norms are called otherwise
  kHfRecurrent,  // RecurrentGemma
};

// How the files of a checkpoint write weights down: its family says it.
struct Conventions {
  Naming naming = Naming::kGguf;
  bool norms_minus_one = false;  // norm weights are stored minus one
  bool stores_log_a = false;     // -8 softplus(a_param) instead of a_param
};

}  // namespace gemma

#endif  // GEMMA_SRC_MODEL_CONVENTIONS_H_
