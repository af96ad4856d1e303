// How the JSON of all commands begins. json.md describes each field.

#ifndef GEMMA_TOOLS_GEMMA_MACHINE_REPORT_HEAD_H_
#define GEMMA_TOOLS_GEMMA_MACHINE_REPORT_HEAD_H_

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

#include "gemma/gemma.h"
#include "tools/gemma/cli/model_options.h"

namespace gemma::tools {

// Returns an object with the version of the form (schema_version) and of gemma
// (gemma_version). A field that goes away or changes its meaning needs a new
// schema_version; a new field does not.
nlohmann::ordered_json ReportHead();

// Also with `model`, which is MODEL as typed, its `path` and its `file_type`.
nlohmann::ordered_json ReportHead(const ModelOptions& options,
                                  const Model& model);

// Adds the file at `path` that a command wrote: `output`, its absolute path,
// and `output_bytes`, null if it is a pipe or a device.
void AddOutputFile(const std::string& path, nlohmann::ordered_json* json);

// Returns the absolute path that MODEL means.
std::string PathOfModel(const std::string& model);

// Returns the options that may change results or speed, with the values that
// took effect, by their names with "_" for "-". `context`: positions of a
// sequence.
nlohmann::ordered_json OptionsJson(const ModelOptions& options,
                                   const Model& model, size_t context);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MACHINE_REPORT_HEAD_H_
