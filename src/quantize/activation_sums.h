// Measures how much the inputs of a model's matrices matter.

#ifndef GEMMA_SRC_QUANTIZE_ACTIVATION_SUMS_H_
#define GEMMA_SRC_QUANTIZE_ACTIVATION_SUMS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/model_config.h"
#include "gemma/taps.h"

namespace gemma {

// What was run, for whoever reads the file.
struct ImportanceSource {
  std::string dataset;       // the name of the text
  uint32_t chunk_count = 0;  // windows
  uint32_t chunk_size = 0;   // positions of a window
};

// Squares of what the matrices are multiplied with, summed for each column in
// double precision. The sums depend on the rows and their order, not on how
// many come at once. Of a recurrence's gates, whose weights are small, nothing
// is known.
class ActivationSums {
 public:
  // Adds what a tap sees. Points whose activations no matrix multiplies do not
  // count.
  void Add(const TapSite& site, absl::Span<const float> activations);

  // Writes the file that Importance::Load reads, of the matrices of `config`;
  // `own_head`: as WeightsOf has it. The embedding counts as the head that it
  // is, or not at all. What was at the path is replaced. FailedPrecondition if
  // nothing was added, DataLoss naming the tensor if a sum is not finite in
  // float32, or what the file system says.
  absl::Status Write(const ModelConfig& config, bool own_head,
                     const ImportanceSource& source,
                     const std::string& path) const;

 private:
  struct Sums {
    uint64_t rows = 0;
    std::vector<double> squares;  // [columns]
  };
  using Key = std::pair<size_t, TapPoint>;  // layer, point

  std::map<Key, Sums> sums_;
};

}  // namespace gemma

#endif  // GEMMA_SRC_QUANTIZE_ACTIVATION_SUMS_H_
