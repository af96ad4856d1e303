// Implements gemma/c_embedder.h.

#include "gemma/c_embedder.h"

#include <utility>

#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/c_api/c_status.h"
#include "src/c_api/c_values.h"

namespace gemma::internal {

absl::Status ReadEmbedOptions(const gemma_embed_options* options,
                              EmbedOptions& to) {
  gemma_embed_options from;
  gemma_embed_options_init(&from, sizeof(from));
  GEMMA_RETURN_IF_ERROR(ReadSized(options, "gemma_embed_options", from));
  to.prompt = TextOrEmpty(from.prompt);
  to.title = TextOrEmpty(from.title);
  to.dimensions = from.dimensions;
  to.use_default_prompt = from.use_default_prompt;
  to.normalize = from.normalize;
  if (from.progress != nullptr) {
    to.progress = [call = from.progress, user = from.user](size_t done) {
      return call(done, user);
    };
  }
  return absl::OkStatus();
}

namespace {

absl::Status ReadEmbedderOptions(const gemma_embedder_options* options,
                                 EmbedderOptions& to) {
  gemma_embedder_options from = {};
  GEMMA_RETURN_IF_ERROR(ReadSized(options, "gemma_embedder_options", from));
  to.max_tokens = from.max_tokens;
  return absl::OkStatus();
}

}  // namespace
}  // namespace gemma::internal

using gemma::internal::Reported;

void gemma_embedder_options_init(gemma_embedder_options* options, size_t size) {
  const gemma::EmbedderOptions defaults;
  gemma::internal::InitSized(options, size,
                             {.max_tokens = defaults.max_tokens});
}

gemma_status gemma_embedder_create(const gemma_model* model,
                                   const gemma_embedder_options* options,
                                   gemma_embedder** embedder) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(embedder);
    gemma::EmbedderOptions read;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadEmbedderOptions(options, read));
    GEMMA_ASSIGN_OR_RETURN(auto created,
                           gemma::Embedder::Create(model->model, read));
    *embedder = new gemma_embedder{std::move(created)};
    return absl::OkStatus();
  });
}

void gemma_embedder_free(gemma_embedder* embedder) { delete embedder; }

gemma_status gemma_embedder_memory(const gemma_model* model,
                                   const gemma_embedder_options* options,
                                   gemma_memory_use* use) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(model);
    GEMMA_C_REQUIRE(use);
    gemma::EmbedderOptions read;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadEmbedderOptions(options, read));
    return gemma::internal::WriteMemory(
        gemma::Embedder::MemoryFor(model->model, read), use);
  });
}

void gemma_embed_options_init(gemma_embed_options* options, size_t size) {
  const gemma::EmbedOptions defaults;
  gemma::internal::InitSized(options, size,
                             {.dimensions = defaults.dimensions,
                              .use_default_prompt = defaults.use_default_prompt,
                              .normalize = defaults.normalize});
}

gemma_status gemma_embed(const gemma_embedder* embedder,
                         const gemma_text* texts, size_t num_texts,
                         const gemma_embed_options* options, float* values,
                         size_t capacity, size_t* size, size_t* num_tokens,
                         bool* truncated) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(embedder);
    GEMMA_C_REQUIRE(size);
    std::vector<std::string> read;
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::ReadTexts(texts, num_texts, "texts", read));
    gemma::EmbedOptions embed;
    GEMMA_RETURN_IF_ERROR(gemma::internal::ReadEmbedOptions(options, embed));
    // Without texts, Embed only checks the options.
    GEMMA_RETURN_IF_ERROR(embedder->embedder.Embed({}, embed).status());
    const size_t dimensions = embed.dimensions != 0
                                  ? embed.dimensions
                                  : embedder->embedder.dimensions();
    GEMMA_RETURN_IF_ERROR(
        gemma::internal::WriteSize(num_texts * dimensions, capacity, size));
    if (*size != 0) GEMMA_C_REQUIRE(values);
    GEMMA_ASSIGN_OR_RETURN(const gemma::Embeddings made,
                           embedder->embedder.Embed(read, embed));
    std::copy(made.values.begin(), made.values.end(), values);
    if (num_tokens != nullptr) {
      std::copy(made.num_tokens.begin(), made.num_tokens.end(), num_tokens);
    }
    if (truncated != nullptr) {
      std::fill_n(truncated, num_texts, false);
      for (const size_t index : made.truncated) truncated[index] = true;
    }
    return absl::OkStatus();
  });
}

size_t gemma_embedder_dimensions(const gemma_embedder* embedder) {
  return embedder == nullptr ? 0 : embedder->embedder.dimensions();
}

size_t gemma_embedder_max_tokens(const gemma_embedder* embedder) {
  return embedder == nullptr ? 0 : embedder->embedder.max_tokens();
}

bool gemma_embedder_has_dense_layers(const gemma_embedder* embedder) {
  return embedder != nullptr && embedder->embedder.has_dense_layers();
}

size_t gemma_embedder_num_prompts(const gemma_embedder* embedder) {
  size_t count = 0;
  Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(embedder);
    count = embedder->embedder.prompts().size();
    return absl::OkStatus();
  });
  return count;
}

gemma_status gemma_embedder_prompt(const gemma_embedder* embedder, size_t index,
                                   char* text, size_t capacity, size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(embedder);
    GEMMA_C_REQUIRE(size);
    const auto prompts = embedder->embedder.prompts();
    if (index >= prompts.size()) {
      return absl::OutOfRangeError(absl::StrCat("index is ", index,
                                                ", but the model has ",
                                                prompts.size(), " prompts"));
    }
    return gemma::internal::Write(prompts[index].name, text, capacity, size);
  });
}

gemma_status gemma_embedder_default_prompt(const gemma_embedder* embedder,
                                           char* text, size_t capacity,
                                           size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(embedder);
    GEMMA_C_REQUIRE(size);
    return gemma::internal::Write(embedder->embedder.default_prompt(), text,
                                  capacity, size);
  });
}

gemma_status gemma_embedder_prefix(const gemma_embedder* embedder,
                                   const char* prompt, const char* title,
                                   char* text, size_t capacity, size_t* size) {
  return Reported([&]() -> absl::Status {
    GEMMA_C_REQUIRE(embedder);
    GEMMA_C_REQUIRE(size);
    GEMMA_ASSIGN_OR_RETURN(
        const std::string prefix,
        embedder->embedder.Prefix(prompt == nullptr ? "" : prompt,
                                  title == nullptr ? "" : title));
    return gemma::internal::Write(prefix, text, capacity, size);
  });
}
