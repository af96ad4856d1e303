#include "tools/python/binding/memory.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gemma/limits.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/machine/memory.h"
#include "tools/gemma/machine/summary.h"

namespace gemma::python {
namespace {

// The arguments of LLM with which a plan fits, or other advice.
std::string Cure(const tools::MemoryPlan& plan, const tools::Memory& memory) {
  const auto room = memory.LeastRoom();
  const std::optional<tools::Amounts> fitting =
      room.has_value() ? tools::FittingAmounts(plan, room->bytes)
                       : std::nullopt;
  std::string cure = "use a smaller model, or one of a type with fewer bits";
  if (fitting.has_value()) {
    std::vector<std::string> arguments;
    if (fitting->sequences != plan.amounts.sequences) {
      arguments.push_back(absl::StrCat("sequences=", fitting->sequences));
    }
    if (fitting->context != plan.amounts.context) {
      arguments.push_back(absl::StrCat("context=", fitting->context));
    }
    cure = absl::StrCat(absl::StrJoin(arguments, ", "), " fits");
  }
  return absl::StrCat(cure, "; ignore_memory=True tries anyway");
}

}  // namespace

size_t DefaultContext(const Model& model) {
  const size_t most = EngineOptions().max_tokens;
  const size_t made_for = model.config().max_context;
  return made_for == 0 ? most : std::min(most, made_for);
}

absl::Status CheckMemory(const Model& model, const std::string& name,
                         const EngineOptions& options, MemoryLeft* left) {
  // Engines refuse these.
  if (options.max_tokens < 1 || options.max_tokens > kMaxSessionTokens ||
      options.max_sequences < 1 || options.max_sequences > kMaxSequences) {
    return absl::OkStatus();
  }
  tools::MemoryPlan plan;
  plan.name = name;
  plan.amounts.context = options.max_tokens;
  plan.amounts.sequences = options.max_sequences;
  plan.bits_per_weight =
      tools::Summarize(model.tensors()).all.bits_per_weight();
  plan.use = [&](const tools::Amounts& amounts) {
    EngineOptions engine = options;
    engine.max_tokens = amounts.context;
    engine.max_sequences = amounts.sequences;
    MemoryUse use = Engine::MemoryFor(model, engine);
    // More requests than that wait.
    if (options.max_bytes != 0)
      use.cache = std::min(use.cache, options.max_bytes);
    return use;
  };
  const tools::Memory memory = tools::ReadMemory();
  const absl::Status fits = tools::CheckMemory(plan, memory);
  if (!fits.ok()) return tools::WithCure(fits, Cure(plan, memory));
  left->bytes = tools::BytesLeft(plan, memory);
  left->note = tools::MappedNote(plan, memory);
  return absl::OkStatus();
}

}  // namespace gemma::python
