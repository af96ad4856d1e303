#include "tools/gemma/serve/serve_memory.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/memory.h"

namespace gemma::tools {
namespace {

// What the estimates of a model leave out, at most.
constexpr uint64_t kSlack = uint64_t{16} << 20;

void Add(const MemoryUse& use, MemoryUse* sum) {
  sum->weights += use.weights;
  sum->mapped += use.mapped;
  sum->cache += use.cache;
  sum->scratch += use.scratch;
  sum->checkpoints += use.checkpoints;
  sum->table += use.table;
}

MemoryUse UseOf(const NamedModel& model, const EngineOptions& engine) {
  MemoryUse use = Engine::MemoryFor(*model.outline, engine);
  if (model.moderates) {  // the session of its classifier
    EngineOptions one = engine;
    one.max_sequences = 1;
    use.cache += Engine::MemoryFor(*model.outline, one).cache;
  }
  for (const ServedAutoencoder& one : model.autoencoders) {
    use.scratch += one.autoencoder.memory_bytes();
  }
  use.scratch += kSlack;
  return use;
}

// Returns the plan of all models together. `models` must outlive it.
MemoryPlan PlanOf(const std::vector<NamedModel>& models) {
  MemoryPlan plan;
  plan.name = absl::StrJoin(models, ", ",
                            [](std::string* text, const NamedModel& model) {
                              text->append(model.name);
                            });
  for (const NamedModel& model : models) {
    if (model.embeds) continue;
    plan.amounts.context =
        std::max(plan.amounts.context, model.engine.max_tokens);
    plan.amounts.sequences = model.engine.max_sequences;
  }
  plan.use = [&models](const Amounts& amounts) {
    MemoryUse sum;
    for (const NamedModel& model : models) {
      EngineOptions engine = model.engine;
      if (!model.embeds) {
        engine.max_tokens = std::min(engine.max_tokens, amounts.context);
        engine.max_sequences = amounts.sequences;
      }
      Add(UseOf(model, engine), &sum);
    }
    return sum;
  };
  return plan;
}

// Returns what must stay in memory.
uint64_t Resident(const MemoryUse& use) { return use.total() - use.mapped; }

// Rounds up to a size that --memory can be given as.
std::string Megabytes(uint64_t bytes) {
  return absl::StrCat(
      static_cast<uint64_t>(std::ceil(static_cast<double>(bytes) / 1e6)), "MB");
}

// An error if the models do not fit into --memory with a request each, or if
// the machine has less.
absl::Status CheckLimit(const ServeOptions& options, const MemoryPlan& plan,
                        const Memory& memory) {
  Amounts one = plan.amounts;
  one.sequences = 1;
  MemoryUse use = plan.use(one);
  // A server has room for the logits of a whole batch.
  use.scratch = plan.use(plan.amounts).scratch;
  const uint64_t needed = Resident(use);
  if (needed > options.memory) {
    return WithCure(
        absl::ResourceExhaustedError(absl::StrCat(
            plan.name, ": needs ", Bytes(needed), " of memory (weights ",
            Bytes(use.weights - use.mapped), ", cache ",
            Bytes(use.cache + use.checkpoints), " for a context of ",
            one.context, ", scratch ", Bytes(use.scratch),
            "), but --memory is ", Bytes(options.memory))),
        absl::StrCat("--memory ", Megabytes(needed),
                     " fits, and a smaller --context needs less"));
  }
  const auto room = memory.LeastRoom();
  if (options.model.ignore_memory || !room.has_value() ||
      options.memory <= room->bytes) {
    return absl::OkStatus();
  }
  return WithCure(absl::ResourceExhaustedError(absl::StrCat(
                      "--memory is ", Bytes(options.memory), ", but ", room->of,
                      " has ", Bytes(room->bytes), " left")),
                  "give less; --ignore-memory tries anyway");
}

}  // namespace

absl::StatusOr<uint64_t> FitMemory(const ServeOptions& options,
                                   const std::vector<NamedModel>& models) {
  const MemoryPlan plan = PlanOf(models);
  const Memory memory = ReadMemory();
  if (options.memory != 0) {
    GEMMA_RETURN_IF_ERROR(CheckLimit(options, plan, memory));
    return options.memory;
  }
  if (options.model.ignore_memory) return 0;
  GEMMA_RETURN_IF_ERROR(CheckMemory(plan, memory));
  const uint64_t left = BytesLeft(plan, memory);
  if (left == UINT64_MAX) return 0;
  uint64_t reuse = 0;
  for (const NamedModel& model : models) reuse += model.engine.reuse_bytes;
  return Resident(plan.use(plan.amounts)) + std::min(left, reuse);
}

}  // namespace gemma::tools
