// gemma quantize: writes a model to one file.

#include "gemma/quantize.h"

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/cli/simd_option.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/progress.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/file_type.h"
#include "tools/gemma/machine/model_error.h"
#include "tools/gemma/machine/report_head.h"
#include "tools/gemma/machine/summary.h"
#include "tools/gemma/machine/written_model.h"
#include "tools/gemma/pull/resolve.h"
#include "tools/gemma/words/type_habits.h"

namespace gemma::tools {
namespace {

// The word for the type of all other matrices.
constexpr char kSame[] = "same";

struct Options {
  std::string source;
  std::string target;
  std::string type = "keep";
  bool has_type = false;    // the caller chose it
  bool has_change = false;  // ... or anything else that changes the weights
  float bits = 0;
  std::string table_type = kSame;
  std::string expert_type = kSame;
  std::string layout = "packed";
  std::string importance;
  std::vector<Adapter> adapters;
  bool force = false;
  size_t threads = 0;
  std::string simd;
  std::string format = "text";
};

QuantizeOptions QuantizeOptionsOf(const Options& options) {
  QuantizeOptions quantize;
  quantize.type = *ParseWeightType(options.type);
  quantize.bits = double{options.bits};
  quantize.table_type = ParseWeightType(options.table_type);
  quantize.expert_type = ParseWeightType(options.expert_type);
  quantize.layout =
      options.layout == "gguf" ? FileLayout::kGguf : FileLayout::kPacked;
  quantize.importance = options.importance;
  quantize.adapters = options.adapters;
  quantize.overwrite = options.force;
  quantize.num_threads = options.threads;
  return quantize;
}

// Bits per weight, as in gemma/weight_type.h; for kKeep, infinitely many.
double BitsOf(WeightType type) {
  switch (type) {
    case WeightType::kKeep:
      return HUGE_VAL;
    case WeightType::kBF16:
      return 16;
    case WeightType::kQ8:
      return 8.5;
    case WeightType::kQ6:
      return 6.5;
    case WeightType::kQ5:
      return 5.5;
    case WeightType::kQ4:
    case WeightType::kQ4_0:
      return 4.5;
    case WeightType::kQ4S:
      return 4.25;
  }
  return 0;
}

// The names of types, and the word for the type of other matrices.
std::vector<std::string> TypesOrSame() {
  std::vector<std::string> names = WeightTypeNames();
  names.push_back(kSame);
  return names;
}

// The type that --layout gguf can write in place of one that only the packed
// layout has, or "".
std::string_view TypeOfGguf(std::string_view type) {
  return type == "q5" ? "q6" : type == "q4s" ? "q4" : "";
}

constexpr std::string_view kOrder = "gemma quantize SRC DST TYPE";

// Whether a word in the place of TYPE is rather a file.
bool LooksLikeFile(std::string_view text) {
  return text.find_first_of("./") != std::string_view::npos;
}

// Adds an option or argument for a type of weights. If the value is a type of
// GGUF, the error also says how to write it.
CLI::Option* AddType(CLI::App& app, const std::string& names,
                     std::string* value, const std::vector<std::string>& types,
                     const std::string& description) {
  const auto parse = [=](const std::string& text) {
    std::string wanted = ParseChoice(text, types, value);
    if (wanted.empty()) return wanted;
    if (LooksLikeFile(text)) {
      return absl::StrCat(wanted, " (the order is ", kOrder, ")");
    }
    const std::string_view gguf =
        TypeOfGguf(NearestType(absl::AsciiStrToLower(text), types));
    if (!gguf.empty()) {
      return absl::StrCat(wanted, ", with --layout gguf ", gguf);
    }
    if (!IsTypeOfGguf(text)) return wanted;
    return absl::StrCat(wanted, ", which --layout gguf writes as ",
                        absl::AsciiStrToUpper(text));
  };
  return AddParsed(app, names, absl::StrJoin(types, "|"), description, parse)
      ->default_str(*value);
}

// Adds a cure if one is known.
absl::Status Explain(const absl::Status& status, const std::string& source) {
  if (absl::IsAlreadyExists(status)) {
    return WithCure(status, "--force replaces it");
  }
  if (ReasonOf(status) == ErrorReason::kOutputFile) {
    return absl::IsNotFound(status)
               ? WithCure(status, "create its directory first")
               : status;
  }
  return ExplainModelError(status, source);
}

// What is known of the source before it is written.
struct Source {
  TypeTotal all;
  std::string file_type;
};

std::string JsonOf(const Options& options, const Source& source,
                   const Model& written, const TypeTotal& all) {
  nlohmann::ordered_json json = ReportHead();
  nlohmann::ordered_json adapters = nlohmann::ordered_json::array();
  for (const Adapter& adapter : options.adapters) {
    adapters.push_back({{"path", adapter.path}, {"scale", adapter.scale}});
  }
  const SimdUse simd = GetSimdUse();
  LoadOptions load;
  load.num_threads = options.threads;
  json.update({{"model", options.source},
               {"path", PathOfModel(options.source)},
               {"file_type", source.file_type}});
  json["options"] = {{"type", options.type},
                     {"bits", options.bits},
                     {"table_type", options.table_type},
                     {"expert_type", options.expert_type},
                     {"layout", options.layout},
                     {"importance", options.importance},
                     {"lora", std::move(adapters)},
                     {"threads", ThreadsFor(load).prefill},
                     {"simd", simd.chosen},
                     {"simd_cap", simd.cap}};
  json.update({{"weight_bytes", source.all.bytes},
               {"bits_per_weight", source.all.bits_per_weight()}});
  AddOutputFile(options.target, &json);
  json.update({{"output_file_type", FileType(options.target, written)},
               {"output_weight_bytes", all.bytes},
               {"output_bits_per_weight", all.bits_per_weight()}});
  return ToText(json);
}

// "m.gguf  536 MB → 285 MB, 8.502 bits/weight (source: 16.000)", or JSON.
absl::Status ShowResult(const Options& options, const Source& source) {
  const std::string& target = options.target;
  LoadOptions load;
  load.num_threads = 1;
  load.skip_weights = true;
  GEMMA_ASSIGN_OR_RETURN(const Model model, Model::Load(target, load));
  const TypeTotal all = Summarize(model.tensors()).all;
  if (options.format == "json") {
    return WriteResult(JsonOf(options, source, model, all));
  }
  return WriteSummary(
      absl::StrFormat("%s  %s → %s, %.3f bits/weight (source: %.3f)", target,
                      Bytes(source.all.bytes), Bytes(all.bytes),
                      all.bits_per_weight(), source.all.bits_per_weight()));
}

// Says on standard error that weights will be quantized a second time.
void NoteSecondTime(const Model& model, const Options& options) {
  const double bits = options.bits != 0
                          ? double{options.bits}
                          : BitsOf(*ParseWeightType(options.type));
  std::vector<std::string> types;
  const Totals totals = Summarize(model.tensors());
  for (const auto& [type, total] : totals.types) {
    // Floats of 16 bits or more, and types that stay as they are.
    if (total.bits_per_weight() >= 16 || total.bits_per_weight() <= bits) {
      continue;
    }
    types.push_back(type);
  }
  if (types.empty()) return;
  Note(absl::StrCat(
      "the source's weights are quantized already (",
      absl::StrJoin(types, ", "),
      "): quantized again, they lose more than the unquantized model would"));
}

// Says on standard error which matrices stay as they are, because they have
// fewer bits than the type that the caller chose.
void NoteKept(const Model& model, const Options& options) {
  const double bits = BitsOf(*ParseWeightType(options.type));
  if (!options.has_type || std::isinf(bits) || options.table_type != kSame ||
      options.expert_type != kSame) {
    return;
  }
  std::vector<TensorSummary> kept;
  bool converts = false;
  for (const TensorSummary& tensor : model.tensors()) {
    if (tensor.shape.size() < 2) continue;
    const double had = Summarize({tensor}).all.bits_per_weight();
    if (had < bits) kept.push_back(tensor);
    converts = converts || had > bits;
  }
  if (kept.empty()) return;
  std::vector<std::string> types;
  for (const auto& [type, total] : Summarize(kept).types) types.push_back(type);
  const std::string names = absl::StrJoin(types, ", ");
  Note(converts
           ? absl::StrCat("weights that have fewer bits than ", options.type,
                          " are kept as they are: ", names)
           : absl::StrCat(
                 "nothing is converted to ", options.type, ": the weights (",
                 names,
                 ") have fewer bits, and are kept, as with the type keep"));
}

// Prints what the source states and the written model will not follow. Returns
// the sizes and types of its weights.
Source ShowNotes(const std::string& source, const Options& options) {
  LoadOptions load;
  load.num_threads = 1;
  load.skip_weights = true;
  load.adapters = options.adapters;
  const absl::StatusOr<Model> model = Model::Load(source, load);
  if (!model.ok()) return {};  // Quantize returns the error
  for (const std::string& note : model->notes()) Note(note);
  NoteSecondTime(*model, options);
  NoteKept(*model, options);
  return {Summarize(model->tensors()).all, FileType(source, *model)};
}

// Whether a word, such as "q4" or "Q4_K_M", names a type, here or elsewhere.
bool IsType(const std::string& text) {
  std::string type;
  const std::vector<std::string> types = WeightTypeNames();
  return ParseChoice(text, types, &type).empty() ||
         !NearestType(absl::AsciiStrToLower(text), types).empty();
}

// What the library would refuse too, as errors of the options.
absl::Status Check(const Options& options) {
  const std::string_view gguf = TypeOfGguf(options.type);
  if (options.layout == "gguf" && !gguf.empty()) {
    return OptionError(
        {"--type", "--layout"},
        absl::StrCat("--type ", options.type,
                     ": gemma writes this type in its own layout only, wanted ",
                     gguf, ", or --layout packed"));
  }
  if (options.bits == 0) {
    if (options.has_type || options.has_change) return absl::OkStatus();
    if (IsType(options.target)) {
      return WithCure(UsageError("quantize: DST is required"),
                      absl::StrCat(kOrder, ": gemma quantize ", options.source,
                                   " FILE.gguf ", options.target));
    }
    return WithCure(
        OptionError({"--type"}, "quantize: which type? wanted TYPE or --bits"),
        "q4 is small, q8 nearly exact; keep writes the same weights to one "
        "file");
  }
  if (options.has_type) return Exclude("--bits", "--type");
  if (options.bits >= 1 && options.bits <= 32) return absl::OkStatus();
  return OptionError({"--bits"},
                     absl::StrCat("--bits: '", options.bits,
                                  "' is not 0 (none) or from 1 to 32"));
}

absl::Status Run(const Options& options) {
  GEMMA_RETURN_IF_ERROR(Check(options));
  GEMMA_RETURN_IF_ERROR(ApplySimd(options.simd));
  GEMMA_ASSIGN_OR_RETURN(const std::string source,
                         ResolveModel(options.source));
  std::vector<std::string> models = {source};
  for (const Adapter& adapter : options.adapters) {
    models.push_back(adapter.path);
  }
  GEMMA_RETURN_IF_ERROR(CheckWrittenModel(options.target, models,
                                          options.importance, options.force));
  QuantizeOptions quantize = QuantizeOptionsOf(options);
  const Source before = ShowNotes(source, options);
  quantize.note = [](std::string_view note) { Note(note); };
  {
    Progress line = Progress::OfBytes("writing", /*quiet=*/false);
    quantize.progress = [&line](const QuantizeProgress& progress) {
      line.Update(progress.done_bytes, progress.total_bytes);
      return !Interrupted();
    };
    const absl::Status status = Quantize(source, options.target, quantize);
    if (absl::IsCancelled(status)) return InterruptedError();
    if (!status.ok()) return Explain(status, source);
  }
  return ShowResult(options, before);
}

}  // namespace

void AddQuantize(CLI::App& app, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "quantize", "Write a model to one file, with smaller weights");
  AddText(*command, "SRC", "", &options->source,
          "A GGUF file (of a split model: any part), a Hugging\n"
          "Face directory, or the name of a pulled model (see gemma list)")
      ->option_text("SRC")
      ->required();
  AddText(*command, "DST", "FILE", &options->target, "The file to write")
      ->option_text("DST")
      ->required();
  // As llama-quantize takes it.
  const CLI::Option* argument =
      AddType(*command, "TYPE", &options->type, WeightTypeNames(),
              "As --type; wanted unless --type or --bits is given")
          ->default_str("");
  const CLI::Option* type =
      AddType(*command, "--type", &options->type, WeightTypeNames(),
              "Type to convert matrices to; a matrix that has\n"
              "no more bits than this type stays as it is")
          ->default_str("");
  AddNumber(*command, "--bits", &options->bits,
            "The most bits per weight, on average: mixes\n"
            "the types that lose least; 0: use --type");
  AddType(*command, "--table-type", &options->table_type, TypesOrSame(),
          "Type of per-layer embeddings (Gemma 4), which stay\n"
          "in the file; same: as the matrices");
  AddType(*command, "--expert-type", &options->expert_type, TypesOrSame(),
          "Type of experts (Gemma 4 26B-A4B), whose router\n"
          "is kept; same: as the matrices");
  AddChoice(*command, "--layout", &options->layout, {"packed", "gguf"},
            "packed: mapped into memory and run as it is;\n"
            "gguf: for llama.cpp too");
  AddText(*command, "--importance", "FILE", &options->importance,
          "How much each channel matters: a file of gemma\n"
          "importance, or an imatrix of llama.cpp");
  AddLora(*command, &options->adapters);
  command->add_flag("--force", options->force, "Replace DST if it exists");
  AddNumber(*command, "-t,--threads", &options->threads, 0, kMaxThreads,
            "Number of threads; 0: one per available core");
  AddSimd(*command, &options->simd);
  AddForms(*command, &options->format);
  command->footer(
      R"(DST also contains the configuration, the tokenizer, and a checksum for
each tensor (see gemma verify-file). An existing DST stays unchanged until
the new file is complete.

Examples:
  gemma quantize gemma-3-1b-it 1b-q4.gguf q4
  gemma quantize gemma-3-1b-it small.gguf --bits 4.75
  gemma quantize gemma-3-1b-it bf16.gguf --type bf16 --layout gguf

)");
  command->callback([=] {
    if (argument->count() > 0 && type->count() > 0) {
      throw CLI::ValidationError("--type", "TYPE is given, too");
    }
    options->has_type = argument->count() > 0 || type->count() > 0;
    options->has_change =
        options->layout == "gguf" || !options->adapters.empty() ||
        options->table_type != kSame || options->expert_type != kSame;
    *action = [=] { return Run(*options); };
  });
}

}  // namespace gemma::tools
