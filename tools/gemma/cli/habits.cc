#include "tools/gemma/cli/habits.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace gemma::tools {
namespace {

struct Alias {
  std::string_view word;
  std::string_view command;
};

constexpr Alias kAliases[] = {
    {"ls", "list"},       {"models", "list"},  {"rm", "remove"},
    {"delete", "remove"}, {"show", "inspect"},
};

struct Habit {
  std::string_view word;
  std::string_view hint;
};

constexpr Habit kCommandHints[] = {
    {"ps", "no model stays loaded: gemma list shows the pulled ones"},
    {"stop", "no model stays loaded: Ctrl-C ends a command"},
    {"cp", "gemma pull SOURCE --name NAME gives a model another name"},
    {"create",
     "gemma reads models as they are; gemma run --system sets "
     "instructions, --lora merges an adapter"},
    {"info", "gemma inspect MODEL describes a model, gemma doctor the machine"},
    {"download", "gemma pull fetches a model"},
    {"get", "gemma pull fetches a model"},
    {"push", "gemma uploads nothing"},
    {"signin", "gemma pull reads the token of a hub from HF_TOKEN"},
    {"login", "gemma pull reads the token of a hub from HF_TOKEN"},
    {"generate", "gemma run MODEL TEXT answers or completes a text"},
    {"complete", "gemma run MODEL TEXT answers or completes a text"},
    {"completions",
     "gemma completion SHELL prints a completion script; gemma "
     "run completes texts"},
    {"cli", "gemma run MODEL TEXT, or gemma chat MODEL"},
    {"main", "gemma run MODEL TEXT, or gemma chat MODEL"},
    {"serve",
     "gemma has no server yet: gemma run --batch answers many prompts"},
    {"server",
     "gemma has no server yet: gemma run --batch answers many prompts"},
    {"convert", "gemma quantize SRC DST writes a model to one file"},
    {"imatrix", "gemma importance MODEL measures the importance of inputs"},
    {"embedding", "gemma embed MODEL turns texts into vectors"},
    {"embeddings", "gemma embed MODEL turns texts into vectors"},
    {"encode", "gemma tokenize MODEL TEXT prints token ids"},
    {"detokenize",
     "gemma tokenize MODEL --decode prints the text of token ids"},
    {"benchmark", "gemma bench MODEL measures the speed"},
    {"eval", "gemma perplexity MODEL --file FILE"},
    {"safety", "gemma classify MODEL TEXT asks a ShieldGemma"},
};

// Hints that begin with "--" are options of gemma; they are given to commands
// that have the option.
constexpr Habit kOptionHints[] = {
    {"-p", "the prompt is an argument: gemma run MODEL \"TEXT\""},
    {"--prompt", "the prompt is an argument: gemma run MODEL \"TEXT\""},
    {"-m", "the model is the first argument, without an option"},
    {"--model", "the model is the first argument, without an option"},
    {"--model-path", "the model is the first argument, without an option"},
    {"-hf", "gemma pull hf://OWNER/REPO fetches a model and names it"},
    {"-hfr", "gemma pull hf://OWNER/REPO fetches a model and names it"},
    {"-hff", "gemma pull hf://OWNER/REPO/FILE fetches one file"},
    {"-mu", "gemma pull URL fetches a model and names it"},
    {"--hf-repo", "gemma pull hf://OWNER/REPO fetches a model and names it"},
    {"--hf-file", "gemma pull hf://OWNER/REPO/FILE fetches one file"},
    {"--model-url", "gemma pull URL fetches a model and names it"},
    {"-ngl", "gemma computes on the CPU and has no layers to offload"},
    {"--n-gpu-layers", "gemma computes on the CPU: no layers to offload"},
    {"--gpu-layers", "gemma computes on the CPU: no layers to offload"},
    {"--device", "gemma computes on the CPU"},
    {"--gpu", "gemma computes on the CPU"},
    {"-fa", "attention needs no switch here"},
    {"--flash-attn", "attention needs no switch here"},
    {"-i", "gemma chat MODEL is the interactive command"},
    {"--interactive", "gemma chat MODEL is the interactive command"},
    {"-cnv", "--chat"},
    {"--conversation", "--chat"},
    {"-no-cnv", "--raw"},
    {"--no-conversation", "--raw"},
    {"--temp", "--temperature"},
    {"--temperatur", "--temperature"},
    {"-s", "--seed"},
    {"--n-predict", "--max-tokens"},
    {"--predict", "--max-tokens"},
    {"--num-predict", "--max-tokens"},
    {"--max-new-tokens", "--max-tokens"},
    {"--max_new_tokens", "--max-tokens"},
    {"--max_tokens", "--max-tokens"},
    {"--ctx-size", "--context"},
    {"--num-ctx", "--context"},
    {"--max-length", "--context"},
    {"--repeat-penalty", "--repetition-penalty"},
    {"--repetition_penalty", "--repetition-penalty"},
    {"--repeat-last-n", "--penalty-window"},
    {"--typical", "--typical-p"},
    {"--top_k", "--top-k"},
    {"--top_p", "--top-p"},
    {"-b", "--chunk"},
    {"-ub", "--chunk"},
    {"--batch-size", "--chunk"},
    {"--ubatch-size", "--chunk"},
    {"--num-threads", "--threads"},
    {"-tb", "--threads"},
    {"--threads-batch", "--threads"},
    {"-ctk", "--cache-type"},
    {"-ctv", "--cache-type"},
    {"--cache-type-k", "--cache-type"},
    {"--cache-type-v", "--cache-type"},
    {"-sys", "--system"},
    {"--system-prompt", "--system"},
    {"-sysf", "--system \"$(cat FILE)\""},
    {"-r", "--stop"},
    {"--reverse-prompt", "--stop"},
    {"-j", "--schema"},
    {"--json-schema", "--schema"},
    {"--json-schema-file", "--schema"},
    {"--grammar", "--regex"},
    {"--grammar-file", "--schema"},
    {"--lora-scaled", "--lora FILE=SCALE"},
    {"--reasoning", "--think"},
    {"-e", "write \\n in the shell's own way: $'...' in bash"},
    {"--escape", "write \\n in the shell's own way: $'...' in bash"},
    {"--color",
     "a terminal shows Markdown in colour; NO_COLOR and --markdown off turn "
     "that off"},
    {"--no-display-prompt",
     "only a terminal shows the prompt, dimmed before its completion; -q "
     "leaves it out"},
    {"--nowordwrap", "a pipe gets the text as it is: gemma run ... | cat"},
    {"--mlock", "weights stay in memory as the system decides"},
    {"--no-mmap", "weights are mapped or packed as their format needs"},
    {"--numa", "gemma doctor shows the processors that gemma may use"},
    {"--keepalive", "no model stays loaded after a command"},
    {"--no-warmup", "gemma run computes no warm-up"},
    {"-dev", "gemma computes on the CPU"},
    {"--nobos", "gemma run --raw --parse-control reads written control tokens"},
    {"--output-file", "--output"},
    {"--out", "--output"},
    {"-f", "--force"},
    {"--imatrix", "--importance"},
    {"--pure", "--type"},
    {"--outtype", "--type"},
    {"--revision", "gemma pull hf://OWNER/REPO@REVISION"},
    {"--token", "gemma pull reads the token of a hub from HF_TOKEN"},
};

constexpr Habit kTypes[] = {
    {"f16", "bf16"},      {"fp16", "bf16"},  {"float16", "bf16"},
    {"bfloat16", "bf16"}, {"f32", "keep"},   {"copy", "keep"},
    {"q8_0", "q8"},       {"int8", "q8"},    {"8bit", "q8"},
    {"q6_k", "q6"},       {"q5_0", "q5"},    {"q5_1", "q5"},
    {"q5_k", "q5"},       {"q5_k_s", "q5"},  {"q5_k_m", "q5"},
    {"q4_1", "q4"},       {"q4_k", "q4"},    {"q4_k_s", "q4"},
    {"q4_k_m", "q4"},     {"int4", "q4"},    {"4bit", "q4"},
    {"iq4_nl", "q4"},     {"iq4_xs", "q4s"}, {"q3_k_m", "q4s"},
};

template <size_t kSize>
std::string_view Find(const Habit (&habits)[kSize], std::string_view word) {
  for (const Habit& habit : habits) {
    if (habit.word == word) return habit.hint;
  }
  return "";
}

}  // namespace

std::string_view CommandAlias(std::string_view word) {
  for (const Alias& alias : kAliases) {
    if (alias.word == word) return alias.command;
  }
  return "";
}

std::string_view CommandHint(std::string_view word) {
  return Find(kCommandHints, word);
}

std::string_view NearestWeightType(std::string_view type) {
  return Find(kTypes, type);
}

std::string OptionHint(std::string_view option, std::string_view command,
                       const std::vector<std::string>& own) {
  const std::string_view hint = Find(kOptionHints, option);
  if (!absl::StartsWith(hint, "-")) return std::string(hint);
  // "--lora" of "--lora FILE=SCALE"
  const std::string_view name = hint.substr(0, hint.find(' '));
  if (std::find(own.begin(), own.end(), name) == own.end()) return "";
  return absl::StrCat("gemma ", command, " has ", hint);
}

}  // namespace gemma::tools
