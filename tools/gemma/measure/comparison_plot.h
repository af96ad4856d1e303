// The plot of a comparison, drawn by Python.

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

// Checks that Python and matplotlib are installed. An error has a cure.
absl::Status CheckPlot();

// Writes the plot as PNG. `scores`: the lines of --per-token, a JSON object for
// each token. `base` and `other`: the models' paths.
absl::Status WritePlot(std::string_view scores, const std::string& base,
                       const std::string& other, AtomicFile& output);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MEASURE_COMPARISON_PLOT_H_
