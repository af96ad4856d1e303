// Writes the vectors of `gemma embed`.

#ifndef GEMMA_TOOLS_GEMMA_TEXTS_EMBED_OUTPUT_H_
#define GEMMA_TOOLS_GEMMA_TEXTS_EMBED_OUTPUT_H_

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gemma/embedder.h"
#include "src/base/internal.h"
#include "src/os/atomic_file.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/npy.h"
#include "tools/gemma/texts/embed_input.h"

namespace gemma::tools {

struct EmbedOutputOptions {
  std::string format;  // "text", "json" or "npy"; empty: by the path's ending
  std::string path;    // empty: standard output
  nlohmann::ordered_json head;  // for JSON: how each object begins
};

// OK, or a usage error that names the option.
absl::Status Check(const EmbedOutputOptions& options);

// Writes vectors of shape [texts, dimensions], block by block.
class EmbedOutput {
 public:
  // A file appears only when Finish has completed it.
  static absl::StatusOr<EmbedOutput> Open(const EmbedOutputOptions& options,
                                          size_t texts, size_t dimensions);

  // Writes the vectors of the next inputs.
  absl::Status Append(absl::Span<const EmbedInput> inputs,
                      const Embeddings& embeddings);

  absl::Status Finish();

 private:
  EmbedOutput(bool json, const nlohmann::ordered_json& head);

  std::string Line(const EmbedInput& input, const Embeddings& embeddings,
                   size_t text) const;

  bool json_;
  std::string head_;  // how each object begins, up to its own fields
  size_t done_ = 0;   // number of texts written
  std::optional<NpyWriter> npy_;
  std::optional<AtomicFile> file_;  // neither: standard output
};

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_TEXTS_EMBED_OUTPUT_H_
