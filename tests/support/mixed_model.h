// A fixture with a model that has weights of every type.

#ifndef GEMMA_TESTS_SUPPORT_MIXED_MODEL_H_
#define GEMMA_TESTS_SUPPORT_MIXED_MODEL_H_

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "gtest/gtest.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {

// The tests of a suite share the model, which has a vocabulary of 512 pieces.
// Activations are float32, so that logits do not depend on how many positions
// are computed at once.
class MixedModelTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    model_ = new Model(
        LoadOrDie(absl::StrCat(GEMMA_TESTDATA_DIR, "/gguf/gemma3_mixed.gguf"),
                  {.num_threads = 1, .activations = Activations::kFloat32}));
  }
  static void TearDownTestSuite() {
    delete model_;
    model_ = nullptr;
  }

  static inline Model* model_ = nullptr;
};

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_MIXED_MODEL_H_
