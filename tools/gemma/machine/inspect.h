// The parts of `gemma inspect`: the report for people is made from that in
// JSON.

#ifndef GEMMA_TOOLS_GEMMA_MACHINE_INSPECT_H_
#define GEMMA_TOOLS_GEMMA_MACHINE_INSPECT_H_

#include <nlohmann/json.hpp>
#include <string>

#include "gemma/gemma.h"
#include "tools/gemma/cli/model_options.h"

namespace gemma::tools {

struct InspectOptions {
  ModelOptions model;
  std::string format = "text";
  bool tensors = false;
  bool all = false;
};

// Returns the turns that the model's chats would have.
nlohmann::ordered_json ChatTemplateJson(const InspectOptions& options,
                                        const Model& model);

// Returns some eight lines, and then what options.tensors and options.all ask
// for. `session`: the sequence whose memory is told.
std::string InspectText(const InspectOptions& options, const Model& model,
                        const SessionOptions& session);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_MACHINE_INSPECT_H_
