// Implements gemma_model_prompt of gemma/c_api.h.

#include "gemma/c_api.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

using gemma::internal::Reported;

gemma_status gemma_model_prompt(const gemma_model* model, const char* text,
                                size_t text_size, int32_t* tokens,
                                size_t capacity, size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    if (text_size != 0) GEMMA_C_REQUIRE(text);
    GEMMA_C_REQUIRE(size);
    const auto prompt = model->model.Prompt({text, text_size});
    GEMMA_RETURN_IF_ERROR(prompt.status());
    return gemma::internal::Write(*prompt, tokens, capacity, size);
  });
}
