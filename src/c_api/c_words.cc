// Implements gemma/c_words.h.

#include "gemma/c_words.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

using gemma::internal::Reported;

static_assert(GEMMA_ROW_TOKEN == gemma::kRowToken);

gemma_status gemma_input_rows_create(const float* values, size_t num_rows,
                                     size_t model_dim, gemma_row_mask mask,
                                     gemma_input_rows** rows) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(values);
    GEMMA_C_REQUIRE(rows);
    gemma::RowMask read;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadEnum(
        mask, "mask", GEMMA_ROWS_BIDIRECTIONAL + 1, read));
    if (model_dim != 0 && num_rows > SIZE_MAX / sizeof(float) / model_dim) {
      return absl::InvalidArgumentError(
          absl::StrCat(num_rows, " rows of ", model_dim,
                       " values are more than memory can hold"));
    }
    GEMMA_ASSIGN_OR_RETURN(
        auto created,
        gemma::InputRows::Create(
            std::vector<float>(values, values + num_rows * model_dim),
            model_dim, read));
    *rows = new gemma_input_rows{std::move(created)};
    return absl::OkStatus();
  });
}

void gemma_input_rows_free(gemma_input_rows* rows) { delete rows; }

size_t gemma_input_rows_size(const gemma_input_rows* rows) {
  return rows == nullptr ? 0 : rows->rows.size();
}

size_t gemma_input_rows_model_dim(const gemma_input_rows* rows) {
  return rows == nullptr ? 0 : rows->rows.model_dim();
}

gemma_status gemma_words_create(gemma_words** words) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(words);
    *words = new gemma_words;
    return absl::OkStatus();
  });
}

void gemma_words_free(gemma_words* words) { delete words; }

gemma_status gemma_words_add_tokens(gemma_words* words, const int32_t* tokens,
                                    size_t num_tokens) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(words);
    if (num_tokens != 0) GEMMA_C_REQUIRE(tokens);
    const absl::Span<const int32_t> added(tokens, num_tokens);
    // A list with GEMMA_ROW_TOKEN must have a row there.
    const auto bad = std::find_if(added.begin(), added.end(),
                                  [](int32_t token) { return token < 0; });
    if (bad != added.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("token ", bad - added.begin(), " of tokens is ", *bad,
                       ", wanted 0 or more"));
    }
    words->words.Append(added);
    return absl::OkStatus();
  });
}

gemma_status gemma_words_add_rows(gemma_words* words,
                                  const gemma_input_rows* rows) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(words);
    GEMMA_C_REQUIRE(rows);
    words->words.Append(rows->rows);
    return absl::OkStatus();
  });
}

size_t gemma_words_size(const gemma_words* words) {
  return words == nullptr ? 0 : words->words.size();
}

gemma_status gemma_words_tokens(const gemma_words* words, int32_t* tokens,
                                size_t capacity, size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(words);
    GEMMA_C_REQUIRE(size);
    return gemma::internal::Write(words->words.tokens(), tokens, capacity,
                                  size);
  });
}

size_t gemma_words_whole(const gemma_words* words, size_t position) {
  if (words == nullptr) return 0;
  return words->words.Whole(std::min(position, words->words.size()));
}

void gemma_words_truncate(gemma_words* words, size_t size) {
  if (words == nullptr) return;
  words->words.Truncate(std::min(size, words->words.size()));
}
