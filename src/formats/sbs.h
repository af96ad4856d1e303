// Files of gemma.cpp (.sbs), as its releases of 2024 and 2025 wrote them.
//
// A file is a store of blobs, little-endian, with keys of up to 16 characters:
//   header     "SBS\n", uint32 number of blobs, uint64 bytes of the file
//   directory  the keys, 16 bytes each, padded with zeros; then for each blob
//              uint64 offset and uint64 bytes
// Blobs follow each other in the directory's order; each begins at a multiple
// of 256. Header and directory lie in front, or, since the middle of 2025, the
// directory and then the header at the end, and in front a header that counts
// no blobs.
//
// A blob is a tensor, or is named
//   config     the configuration, a record (see sbs_fields.h)
//   tokenizer  a sentencepiece ModelProto
//   toc        a record for each tensor: its key, type, shape and scale
// Files without toc, from before 2025, say a tensor's type by a letter in front
// of its name, and its shape nowhere. Scales of some tensors may be in a blob
// "Fscales".

#ifndef GEMMA_SRC_FORMATS_SBS_H_
#define GEMMA_SRC_FORMATS_SBS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compression/format.h"
#include "src/base/hash_table.h"

namespace gemma {

// One tensor: a stream of `data` which, where the file states a shape, has the
// bytes that type and shape say.
struct SbsTensor {
  std::optional<Format> format;  // nothing: a type that is not for weights
  std::string type;              // as in messages: "bf16", or "type 8"
  size_t rows = 0;               // 0: the file does not say
  size_t cols = 0;
  float scale = 1.0f;  // multiplies the values
  absl::Span<const uint8_t> data;
};

struct SbsFile {
  std::string path;
  HashMap<std::string, SbsTensor> tensors;  // without the letters
  std::optional<absl::Span<const uint8_t>> config;
  std::optional<absl::Span<const uint8_t>> tokenizer;
  bool has_toc = false;
  // The configuration says that the model was not tuned to chat. Without one,
  // gemma.cpp takes a model to be tuned unless told otherwise.
  bool is_pretrained = false;
  std::vector<float> scales;  // of a file without toc; most have none
};

// Whether the bytes begin as a file of gemma.cpp does.
bool IsSbs(absl::Span<const uint8_t> bytes);

// Parses a whole file. `bytes` must outlive the result; `path` is for messages.
absl::StatusOr<SbsFile> ParseSbs(absl::Span<const uint8_t> bytes,
                                 std::string path);

}  // namespace gemma

#endif  // GEMMA_SRC_FORMATS_SBS_H_
