// Threads that call the library may have small stacks; include/gemma/README.md
// gives the minimum.

#include <pthread.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "gemma/gemma.h"
#include "gtest/gtest.h"
#include "tests/support/requests.h"
#include "tests/support/toy_models.h"

namespace gemma::internal {
namespace {

constexpr size_t kStackBytes = size_t{512} << 10;

// Runs the body on a thread with a stack of kStackBytes.
void OnSmallStack(const std::function<void()>& body) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, kStackBytes), 0);
  pthread_t thread;
  const auto run = [](void* argument) -> void* {
    (*static_cast<const std::function<void()>*>(argument))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run,
                           const_cast<std::function<void()>*>(&body)),
            0);
  EXPECT_EQ(pthread_join(thread, nullptr), 0);
  pthread_attr_destroy(&attributes);
}

class SmallStack : public ::testing::TestWithParam<Toy> {};

INSTANTIATE_TEST_SUITE_P(Toys, SmallStack, ::testing::ValuesIn(AllToys()),
                         [](const auto& test) { return test.param.name; });

// Loads and runs in each arithmetic, with many rows and with one.
TEST_P(SmallStack, LoadsAndComputes) {
  OnSmallStack([&] {
    for (const Activations activations :
         {Activations::kFloat32, Activations::kRounded}) {
      for (const WeightType quantize :
           {WeightType::kKeep, WeightType::kBF16, WeightType::kQ4}) {
        LoadOptions options;
        options.num_threads = 1;
        options.activations = activations;
        options.quantize = quantize;
        const Model model = LoadOrDie(ToyPath(GetParam().folder), options);
        Session session = NewSession(model, {.max_tokens = 128});
        std::vector<TokenId> tokens(64, 3);
        EXPECT_TRUE(session.Append(tokens).ok());
        EXPECT_TRUE(session.Forward({2}).ok());
      }
    }
  });
}

}  // namespace
}  // namespace gemma::internal
