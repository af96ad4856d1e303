// The fuzz targets. Each takes any bytes and returns whether the library
// accepts them. It ends the process if the library breaks a promise of
// SECURITY.md that sanitizers cannot see.

#ifndef GEMMA_TESTS_FUZZ_TARGETS_H_
#define GEMMA_TESTS_FUZZ_TARGETS_H_

#include <cstdint>
#include <ostream>

#include "absl/types/span.h"

namespace gemma::internal {

// Models. The first and third take a file; the second a directory, as
// SplitInput divides it.
bool FuzzGguf(absl::Span<const uint8_t> input);
bool FuzzSafetensors(absl::Span<const uint8_t> input);
bool FuzzSbs(absl::Span<const uint8_t> input);

// Tokenizers: tokenizer.json, perhaps with tokenizer_config.json; and
// tokenizer.model.
bool FuzzTokenizerJson(absl::Span<const uint8_t> input);
bool FuzzTokenizerModel(absl::Span<const uint8_t> input);

// An .npz file of an autoencoder, or the arrays in it, as SplitInput divides
// them.
bool FuzzNpz(absl::Span<const uint8_t> input);

// A byte that chooses a model, and a saved session without its checksum.
bool FuzzSession(absl::Span<const uint8_t> input);

// Grammars.
bool FuzzJsonSchema(absl::Span<const uint8_t> input);
bool FuzzRegex(absl::Span<const uint8_t> input);

// A chat template, rendered for a conversation.
bool FuzzChatTemplate(absl::Span<const uint8_t> input);

// An answer of Gemma 4 or FunctionGemma, in which names of control tokens are
// those tokens. Returns whether it has thoughts or calls.
bool FuzzAnswer(absl::Span<const uint8_t> input);

// An adapter: a GGUF file, or the files of a PEFT directory, as SplitInput
// divides them.
bool FuzzAdapter(absl::Span<const uint8_t> input);

// A path, and after a line end the body of a request to a server.
bool FuzzServe(absl::Span<const uint8_t> input);

// A byte that says in which pieces they come, and bytes of a client of HTTP.
bool FuzzHttp(absl::Span<const uint8_t> input);

struct FuzzTarget {
  const char* name;  // of its corpus and its dictionary
  bool (*run)(absl::Span<const uint8_t> input);

  friend void PrintTo(const FuzzTarget& target, std::ostream* out) {
    *out << target.name;
  }
};

inline constexpr FuzzTarget kFuzzTargets[] = {
    {"gguf", FuzzGguf},
    {"safetensors", FuzzSafetensors},
    {"sbs", FuzzSbs},
    {"tokenizer_json", FuzzTokenizerJson},
    {"tokenizer_model", FuzzTokenizerModel},
    {"npz", FuzzNpz},
    {"session", FuzzSession},
    {"json_schema", FuzzJsonSchema},
    {"regex", FuzzRegex},
    {"chat_template", FuzzChatTemplate},
    {"answer", FuzzAnswer},
    {"adapter", FuzzAdapter},
    {"serve", FuzzServe},
#if GEMMA_WITH_SERVE
    {"http", FuzzHttp},
#endif
};

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_FUZZ_TARGETS_H_
