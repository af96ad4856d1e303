// The plot of a comparison, which Python makes.

#ifndef GEMMA_TOOLS_GEMMA_MEASURE_COMPARISON_PLOT_H_
#define GEMMA_TOOLS_GEMMA_MEASURE_COMPARISON_PLOT_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "src/base/internal.h"
#include "src/os/atomic_file.h"
#include "tools/gemma/io/files.h"

namespace gemma::tools {

// The text of plot_compare.py.
extern const char kPlotScript[];

// OK, or what is missing, with the cure: Python or its matplotlib.
absl::Status CheckPlot();

// Writes the plot, a PNG. `scores`: a line of JSON a token, as --per-token has
// them; `base` and `other`: the models' paths.
absl::Status WritePlot(std::string_view scores, const std::string& base,
                       const std::string& other, AtomicFile& output);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MEASURE_COMPARISON_PLOT_H_
