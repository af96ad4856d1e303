// Files of gemma.cpp (.sbs), as its releases of 2024 and 2025 wrote them.
//
// A file is a store of blobs, little-endian, with keys of up to 16 characters:
//   header     "SBS\n", uint32 number of blobs, uint64 bytes of the file
//   directory  the keys, 16 bytes each, padded with zeros; then for each blob
//              uint64 offset and uint64 bytes
// Blobs follow each other in the directory's order; each begins at a multiple
// of 256. The file begins with the header and the directory. Since the middle
// of 2025, it begins with a header that counts no blobs and ends with the
// directory and then the header.
//
// A blob is a tensor or one of these:
//   config     the configuration, a record (see sbs_fields.h)
//   tokenizer  a sentencepiece ModelProto
//   toc        a record for each tensor: its key, type, shape and scale
// Files from before 2025 have no toc. There, a tensor's key begins with a
// letter for its type, and its shape is missing. A blob "Fscales" may hold the
// scales of some tensors.

#ifndef GEMMA_SRC_FORMATS_SBS_H_
#define GEMMA_SRC_FORMATS_SBS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compression/format.h"
#include "src/base/hash_table.h"

namespace gemma::internal {

// One tensor. If the file gives a shape, `data` has the size that type and
// shape require.
struct SbsTensor {
  std::optional<Format> format;  // nothing: not a type of weights
  std::string type;              // for messages: "bf16" or "type 8"
  size_t rows = 0;               // 0: not in the file
  size_t cols = 0;
  float scale = 1.0f;  // factor of the values
  absl::Span<const uint8_t> data;
};

struct SbsFile {
  std::string path;
  HashMap<std::string, SbsTensor> tensors;  // without the letters
  std::optional<absl::Span<const uint8_t>> config;
  std::optional<absl::Span<const uint8_t>> tokenizer;
  bool has_toc = false;
  // Whether the configuration says that the model is not tuned to chat. False
  // without a configuration, because gemma.cpp then assumes by default that the
  // model is tuned.
  bool is_pretrained = false;
  std::vector<float> scales;  // only without toc; usually empty
};

// The types whose values are read: "f32", "bf16", "sfp", "nuq".
std::vector<std::string_view> ReadSbsTypes();
// Those whose values are not.
std::vector<std::string_view> UnreadSbsTypes();

// Whether the bytes begin like a gemma.cpp file.
bool IsSbs(absl::Span<const uint8_t> bytes);

// Parses a whole file. `bytes` must outlive the result. `path` is for messages.
absl::StatusOr<SbsFile> ParseSbs(absl::Span<const uint8_t> bytes,
                                 std::string path);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_FORMATS_SBS_H_
