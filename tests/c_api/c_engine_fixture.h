// An engine of C and a request, for tests.

#ifndef GEMMA_TESTS_C_API_C_ENGINE_FIXTURE_H_
#define GEMMA_TESTS_C_API_C_ENGINE_FIXTURE_H_

#include <cstdint>
#include <vector>

#include "gemma/c_engine.h"
#include "gtest/gtest.h"
#include "tests/c_api/c_toys.h"

namespace gemma::internal {

class CEngine : public ::testing::Test {
 protected:
  CEngine() {
    EXPECT_EQ(gemma_engine_create(toy_.model, nullptr, &engine_), GEMMA_OK);
    gemma_generate_options_init(&options_, sizeof(options_));
    options_.max_new_tokens = 20;
    gemma_request_init(&request_, sizeof(request_));
    request_.prompt = prompt_.data();
    request_.prompt_size = prompt_.size();
    request_.options = &options_;
  }
  ~CEngine() override { gemma_engine_free(engine_); }

  gemma_ticket* Submitted() {
    gemma_ticket* ticket = nullptr;
    EXPECT_EQ(gemma_engine_submit(engine_, &request_, &ticket), GEMMA_OK)
        << gemma_last_error();
    return ticket;
  }

  gemma_status SubmitFails() {
    gemma_ticket* ticket = nullptr;
    const gemma_status status =
        gemma_engine_submit(engine_, &request_, &ticket);
    EXPECT_EQ(ticket, nullptr);
    return status;
  }

  const CToy& toy_ = Gemma3Toy();
  const std::vector<int32_t> prompt_ = HelloPrompt(toy_);
  gemma_engine* engine_ = nullptr;
  gemma_generate_options options_;
  gemma_request request_;
};

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_C_API_C_ENGINE_FIXTURE_H_
