// gemma inspect: describes a model.

#include "tools/gemma/machine/inspect.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/report_head.h"
#include "tools/gemma/machine/summary.h"

namespace gemma::tools {
namespace {

using OrderedJson = nlohmann::ordered_json;

std::string_view Name(BlockType type) {
  switch (type) {
    case BlockType::kGlobalAttention:
      return "global";
    case BlockType::kLocalAttention:
      return "local";
    case BlockType::kRecurrent:
      return "recurrent";
  }
  return "";
}

std::string_view Name(Pooling pooling) {
  switch (pooling) {
    case Pooling::kNone:
      return "none";
    case Pooling::kMean:
      return "mean";
  }
  return "";
}

bool IsGlobal(const LayerConfig& layer) {
  return layer.type == BlockType::kGlobalAttention;
}
bool IsLocal(const LayerConfig& layer) {
  return layer.type == BlockType::kLocalAttention;
}
bool IsAny(const LayerConfig& /*layer*/) { return true; }
bool Shares(const LayerConfig& layer) { return !layer.has_own_kv(); }
bool CutsGates(const LayerConfig& layer) {
  return layer.gate_cutoff.has_value();
}

// Returns a list with an item for each layer: its value if `has` is true, else
// null. Returns null if `has` is true for no layer.
template <class Value>
OrderedJson EachLayer(const ModelConfig& config,
                      bool (*has)(const LayerConfig&), Value value) {
  OrderedJson each = OrderedJson::array();
  bool any = false;
  for (const LayerConfig& layer : config.layers) {
    any = any || has(layer);
    each.push_back(has(layer) ? OrderedJson(value(layer)) : OrderedJson());
  }
  return any ? each : OrderedJson();
}

// Returns the value of the layers for which `has` is true: one value if they
// agree, else a list as above. Returns 0 if `has` is true for no layer.
template <class Value>
OrderedJson Layers(const ModelConfig& config, bool (*has)(const LayerConfig&),
                   Value value) {
  const OrderedJson each = EachLayer(config, has, value);
  OrderedJson first;
  bool same = true;
  for (const OrderedJson& of_layer : each) {
    if (of_layer.is_null()) continue;
    if (first.is_null()) first = of_layer;
    same = same && of_layer == first;
  }
  if (first.is_null()) return 0;
  return same ? first : each;
}

}  // namespace

OrderedJson ConfigJson(const ModelConfig& config) {
  std::vector<std::string> blocks;
  for (const LayerConfig& l : config.layers) blocks.emplace_back(Name(l.type));
  const auto sizes = [&](size_t LayerConfig::*member) {
    return Layers(config, IsAny, [&](const auto& l) { return l.*member; });
  };
  const auto rotary_dim = [](const auto& l) { return l.rope.rotary_dim; };
  const auto rope_base = [](const auto& l) { return l.rope.base; };
  const auto rope_factor = [](const auto& l) { return l.rope.factor; };
  const auto window = [](const auto& l) { return l.sliding_window; };
  const auto rotating = [](const auto& l) { return l.rope.num_rotating; };
  const auto k_eq_v = [](const auto& l) { return l.k_eq_v; };
  const auto source = [](const LayerConfig& l) { return *l.kv_source; };
  const auto cutoff = [](const auto& l) { return *l.gate_cutoff; };
  return {
      {"architecture", config.architecture},
      {"num_layers", config.num_layers()},
      {"model_dim", config.model_dim},
      {"ffw_dim", sizes(&LayerConfig::ffw_dim)},
      {"num_heads", sizes(&LayerConfig::num_heads)},
      {"num_kv_heads", sizes(&LayerConfig::num_kv_heads)},
      {"head_dim", sizes(&LayerConfig::head_dim)},
      {"vocab_size", config.vocab_size},
      {"max_context", config.max_context},
      {"sliding_window", Layers(config, IsLocal, window)},
      {"rotary_dim", Layers(config, IsAny, rotary_dim)},
      {"num_rotating", Layers(config, IsAny, rotating)},
      {"k_eq_v", Layers(config, IsAny, k_eq_v)},
      {"kv_source", EachLayer(config, Shares, source)},
      {"gate_cutoff", EachLayer(config, CutsGates, cutoff)},
      {"num_experts", sizes(&LayerConfig::num_experts)},
      {"experts_used", sizes(&LayerConfig::experts_used)},
      {"expert_dim", sizes(&LayerConfig::expert_dim)},
      {"lru_width", config.lru_width},
      {"conv_width", config.conv_width},
      {"rope_base_local", Layers(config, IsLocal, rope_base)},
      {"rope_base_global", Layers(config, IsGlobal, rope_base)},
      {"rope_factor_global", Layers(config, IsGlobal, rope_factor)},
      {"embedding_scale", config.embedding_scale},
      {"query_scale", config.query_scale},
      {"rms_norm_eps", config.rms_norm_eps},
      {"attn_logits_soft_cap", config.attn_logits_soft_cap},
      {"final_logits_soft_cap", config.final_logits_soft_cap},
      {"post_norms", config.post_norms},
      {"qk_norm", config.qk_norm},
      {"value_norm", config.value_norm},
      {"layer_scales", config.layer_scales},
      {"altup_streams", config.altup_streams},
      {"laurel_rank", config.laurel_rank},
      {"per_layer_dim", config.per_layer_dim},
      {"per_layer_vocab", config.per_layer_vocab},
      {"per_layer_scale", config.per_layer_scale},
      {"biases", config.biases},
      {"exact_gelu", config.exact_gelu},
      {"bidirectional", config.bidirectional},
      {"pooling", Name(config.pooling)},
      {"dense_dims", config.dense_dims},
      {"bos_token", config.bos_token},
      {"stop_tokens", config.stop_tokens},
      {"suppress_tokens", config.suppress_tokens},
      {"blocks", blocks},
  };
}

OrderedJson ChatTemplateJson(const InspectOptions& options,
                             const Model& model) {
  if (options.model.chat_template == kNoTemplate) {
    return {{"turns", "none"}, {"reason", "it was chosen"}};
  }
  const absl::StatusOr<ChatTemplate> turns = model.chat_template();
  if (!turns.ok()) {
    return {{"turns", "none"}, {"reason", turns.status().message()}};
  }
  return {
      {"turns", turns->is_gemma() ? "gemma" : "file"},
      {"file", turns->source()},
      {"reason", turns->reason().empty() ? "it was chosen" : turns->reason()},
      {"end_of_turn", turns->end_of_turn()}};
}

namespace {

OrderedJson TensorsJson(const Model& model) {
  OrderedJson tensors = OrderedJson::array();
  for (const TensorSummary& tensor : model.tensors()) {
    tensors.push_back({{"name", tensor.name},
                       {"type", tensor.format},
                       {"shape", tensor.shape},
                       {"bytes", tensor.bytes}});
  }
  return tensors;
}

OrderedJson TypeJson(const std::string& name, const TypeTotal& total) {
  return {{"type", name},
          {"tensors", total.tensors},
          {"values", total.values},
          {"bytes", total.bytes},
          {"bits_per_weight", total.bits_per_weight()}};
}

std::string ShowJson(const InspectOptions& options, const Model& model,
                     const SessionOptions& session) {
  const Totals totals = Summarize(model.tensors());
  const MemoryUse memory = model.MemoryFor(session);
  OrderedJson types = OrderedJson::array();
  for (const auto& [name, total] : totals.types) {
    types.push_back(TypeJson(name, total));
  }
  OrderedJson json = ReportHead(options.model, model);
  json["options"] = OptionsJson(options.model, model, session.max_tokens);
  json.update({
      {"instruction_tuned", model.is_instruction_tuned()},
      {"has_tokenizer", model.tokenizer().ok()},
      {"notes", model.notes()},
      {"chat_template", ChatTemplateJson(options, model)},
      {"config", ConfigJson(model.config())},
      {"parameters", totals.all.values},
      {"weight_bytes", totals.all.bytes},
      {"bits_per_weight", totals.all.bits_per_weight()},
      {"types", types},
      {"memory",
       {{"context", session.max_tokens},
        {"threads", model.num_threads()},
        {"weights", memory.weights},
        {"mapped", memory.mapped},
        {"cache", memory.cache},
        {"scratch", memory.scratch},
        {"total", memory.total()},
        {"table", memory.table},
        {"table_per_token", memory.table_per_token}}},
      {"tensors", TensorsJson(model)},
  });
  return ToText(json);
}

absl::Status Inspect(const InspectOptions& options) {
  GEMMA_ASSIGN_OR_RETURN(const Model model, ReadOutline(options.model));
  const SessionOptions session =
      SessionOptionsOf(options.model, DefaultContext(model));
  return WriteOutput(options.format == "json"
                         ? ShowJson(options, model, session)
                         : InspectText(options, model, session));
}

}  // namespace

void AddInspect(CLI::App& app, Action* action) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command = app.add_subcommand(
      "inspect", "Describe a model: type, size, memory, tensors");
  AddModelOptions(*command, &options->model, "4096");
  AddChatTemplate(*command, &options->model);
  command->add_flag("--tensors", options->tensors,
                    "Also list the tensors and their types");
  command->add_flag("-a,--all", options->all,
                    "Also list the tensors, the configuration and the parts\n"
                    "of the memory");
  AddForms(*command, &options->format, {{"json", "Print all of this as JSON"}});
  command->footer(
      R"(Examples:
  gemma inspect gemma-3-270m --context 32k
  gemma inspect gemma-3-270m --all
  gemma inspect gemma-3-270m --json

)");
  command->callback([=] { *action = [=] { return Inspect(*options); }; });
}

}  // namespace gemma::tools
