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

// Engines refuse these.
bool IsOutOfRange(const EngineOptions& options) {
  return options.max_tokens < 1 || options.max_tokens > kMaxSessionTokens ||
         options.max_sequences < 1 || options.max_sequences > kMaxSequences;
}

bool HasEngine(const PlannedEngine& planned) {
  return planned.model->tokenizer().ok();
}

// Returns the memory of one model with at most these amounts.
MemoryUse UseOf(const PlannedEngine& planned, const tools::Amounts& amounts) {
  EngineOptions engine = planned.options;
  if (!HasEngine(planned)) {
    engine.max_tokens = engine.max_sequences = 1;
  } else if (!planned.is_loaded) {
    engine.max_tokens = std::min(engine.max_tokens, amounts.context);
    engine.max_sequences = std::min(engine.max_sequences, amounts.sequences);
  }
  MemoryUse use = Engine::MemoryFor(*planned.model, engine);
  // More requests than that wait.
  if (engine.max_bytes != 0) use.cache = std::min(use.cache, engine.max_bytes);
  if (planned.moderates) {
    engine.max_sequences = 1;
    use.cache += Engine::MemoryFor(*planned.model, engine).cache;
  }
  if (planned.is_loaded) use.weights = use.mapped = 0;
  return use;
}

MemoryUse SumOf(const std::vector<PlannedEngine>& engines, uint64_t max_bytes,
                const tools::Amounts& amounts) {
  MemoryUse sum;
  for (const PlannedEngine& planned : engines) {
    const MemoryUse use = UseOf(planned, amounts);
    sum.weights += use.weights;
    sum.mapped += use.mapped;
    sum.cache += use.cache;
    sum.scratch += use.scratch;
    sum.checkpoints += use.checkpoints;
    sum.table += use.table;
  }
  if (max_bytes != 0) {
    const uint64_t rest = sum.weights - sum.mapped + sum.scratch;
    sum.cache = std::min(sum.cache, max_bytes - std::min(max_bytes, rest));
  }
  return sum;
}

// Returns the largest amounts of all engines: of those that may have less, if
// there are any.
tools::Amounts AmountsOf(const std::vector<PlannedEngine>& engines) {
  tools::Amounts fixed = {.context = 1, .sequences = 1}, lowered = fixed;
  bool any = false;
  for (const PlannedEngine& planned : engines) {
    if (!HasEngine(planned)) continue;
    any = any || !planned.is_loaded;
    tools::Amounts& most = planned.is_loaded ? fixed : lowered;
    most.context = std::max(most.context, planned.options.max_tokens);
    most.sequences = std::max(most.sequences, planned.options.max_sequences);
  }
  return any ? lowered : fixed;
}

}  // namespace

size_t DefaultContext(const Model& model) {
  const size_t most = EngineOptions().max_tokens;
  const size_t made_for = model.config().max_context;
  return made_for == 0 ? most : std::min(most, made_for);
}

absl::Status CheckMemory(const std::vector<PlannedEngine>& engines,
                         uint64_t max_bytes, MemoryLeft* left) {
  tools::MemoryPlan plan;
  for (const PlannedEngine& planned : engines) {
    if (IsOutOfRange(planned.options)) return absl::OkStatus();
    absl::StrAppend(&plan.name, plan.name.empty() ? "" : ", ", planned.name);
  }
  plan.amounts = AmountsOf(engines);
  plan.use = [&](const tools::Amounts& amounts) {
    return SumOf(engines, max_bytes, amounts);
  };
  const tools::Memory memory = tools::ReadMemory();
  const absl::Status fits = tools::CheckMemory(plan, memory);
  if (!fits.ok()) return tools::WithCure(fits, Cure(plan, memory));
  left->bytes = tools::BytesLeft(plan, memory);
  if (engines.size() == 1) {
    plan.bits_per_weight =
        tools::Summarize(engines[0].model->tensors()).all.bits_per_weight();
    left->note = tools::MappedNote(plan, memory);
  }
  return absl::OkStatus();
}

}  // namespace gemma::python
