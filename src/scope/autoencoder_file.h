// The files of sparse autoencoders, as Gemma Scope publishes them. They are not
// trusted.

#ifndef GEMMA_SRC_SCOPE_AUTOENCODER_FILE_H_
#define GEMMA_SRC_SCOPE_AUTOENCODER_FILE_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/base/json.h"
#include "src/os/mapped_file.h"

namespace gemma {

// Gives an array's values in order. What of the file was read is given back to
// the system.
class ArrayReader {
 public:
  virtual ~ArrayReader() = default;
  virtual absl::Status Read(absl::Span<float> values) = 0;
  // After the last value: fails if they are not those that were written.
  virtual absl::Status Finish() = 0;
};

// An array of the file.
struct ArrayInFile {
  std::string where;  // "params.npz: array 'W_enc'", for messages
  std::vector<size_t> shape;
  std::unique_ptr<ArrayReader> values;
};

// An open file. Shapes fit each other, and no extent is zero.
struct AutoencoderFile {
  std::string path;                        // of the arrays
  std::unique_ptr<const MappedFile> file;  // which the readers read
  std::optional<Json> config;              // config.json beside it, an object
  ArrayInFile w_enc;                       // [input_dim, num_features]
  ArrayInFile b_enc, threshold;            // [num_features]
  ArrayInFile w_dec;                       // [num_features, output_dim]
  ArrayInFile b_dec;                       // [output_dim]
  std::optional<ArrayInFile> skip;         // [input_dim, output_dim]

  size_t input_dim() const { return w_enc.shape[0]; }
  size_t num_features() const { return w_dec.shape[0]; }
  size_t output_dim() const { return w_dec.shape[1]; }
};

// Opens an .npz file, a .safetensors file (with the config.json beside it, if
// there is one) or a folder that holds params.npz or params.safetensors.
absl::StatusOr<AutoencoderFile> OpenAutoencoder(const std::string& path);

}  // namespace gemma

#endif  // GEMMA_SRC_SCOPE_AUTOENCODER_FILE_H_
