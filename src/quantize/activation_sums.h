// Measures how much the inputs of a model's matrices matter.

#ifndef GEMMA_SRC_QUANTIZE_ACTIVATION_SUMS_H_
#define GEMMA_SRC_QUANTIZE_ACTIVATION_SUMS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gemma/model_config.h"
#include "gemma/taps.h"

namespace gemma::internal {

// Describes the text that was run, for readers of the file.
struct ImportanceSource {
  std::string dataset;       // name of the text
  uint32_t chunk_count = 0;  // number of windows
  uint32_t chunk_size = 0;   // positions in a window
};

// Sums the squares of the activations that the matrices multiply, for each
// column, in double precision. The sums depend on the rows and their order, not
// on the number of rows in a call. Each expert has the sums of the rows that
// chose it. The gates of a recurrence are left out: they have few weights.
class ActivationSums {
 public:
  // Adds the activations that a tap sees, in the order in which it sees them.
  // Ignores points whose activations no matrix multiplies.
  void Add(const TapSite& site, absl::Span<const float> activations);

  // Writes a file for Importance::Load with the matrices of `config`. The
  // embedding is included only if it is also the head; `own_head` is as in
  // WeightsOf. Replaces an existing file. FailedPrecondition if no activations
  // were added; DataLoss, naming the tensor, if a sum is not finite in float32;
  // or an error of the file system.
  absl::Status Write(const ModelConfig& config, bool own_head,
                     const ImportanceSource& source,
                     const std::string& path) const;

 private:
  struct Sums {
    uint64_t rows = 0;
    std::vector<double> squares;  // [columns]

    void AddRow(absl::Span<const float> x);
  };
  // Layer, point and expert; the expert is 0 in layers without experts.
  using Key = std::tuple<size_t, TapPoint, size_t>;

  // Adds what the chosen experts of each row multiply.
  void AddChosen(const TapSite& site, absl::Span<const float> choices);
  void AddHidden(const TapSite& site, absl::Span<const float> hidden);
  // Returns the experts that the rows chose, [rows, used], from choices
  // [rows, 2 * used].
  static std::vector<size_t> Chosen(absl::Span<const float> choices);

  std::map<Key, Sums> sums_;
  // The last layer with experts that was seen has these.
  std::vector<float> expert_input_;
  std::vector<size_t> chosen_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_QUANTIZE_ACTIVATION_SUMS_H_
