#include "tools/gemma/words/habits.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/words/hint_fit.h"

namespace gemma::tools {
namespace {

struct Habit {
  std::string_view words;  // separated by blanks; "--spec-*": all such words
  std::string_view hint;
  // Names of commands, options or arguments, separated by blanks: the hint is
  // for a command that is or has one of these. Empty: for all commands.
  std::string_view about = "";
};

// Hints that begin with "--" are options of gemma. Other hints are sentences,
// in which COMMAND stands for the command's name. Options that a hint names
// without "gemma" before them are the command's own: a command that lacks one
// does not get the hint. The first row that fits a command counts.
constexpr Habit kOptionHints[] = {
    {"-o --output --output-file --out --outfile",
     "DST is the file to write: gemma quantize SRC DST TYPE", "quantize"},
    {"--quant --quantization --quantize --include",
     "a type follows the repository: gemma pull OWNER/REPO:Q4_K_M", "pull"},
    {"--local-dir --cache-dir -o --output -O",
     "the variable GEMMA_MODELS names the directory of models", "pull"},
    {"--download-dir --models-dir",
     "the variable GEMMA_MODELS names the directory of models"},

    {"-help -? --usage", "--help"},
    {"-p --prompt", "the text is an argument: gemma COMMAND MODEL \"TEXT\"",
     "PROMPT TEXT"},
    {"-p --prompt", "gemma run MODEL \"TEXT\" answers a prompt", "chat"},
    {"-p --prompt", "a text comes from FILE, or from a pipe", "FILE"},
    {"-m --model --model-id --model-path --weights",
     "the model is the first argument, without an option", "MODEL SRC BASE"},
    {"--tokenizer", "the tokenizer is in the model's file or folder"},
    {"-hf -hfr --hf-repo",
     "gemma pull hf://OWNER/REPO fetches a model and names it"},
    {"-hff --hf-file", "gemma pull hf://OWNER/REPO/FILE fetches one file"},
    {"-mu --model-url", "gemma pull URL fetches a model and names it"},
    {"--revision", "gemma pull hf://OWNER/REPO@REVISION"},
    {"-hft --hf-token --token",
     "gemma pull reads the token of a hub from HF_TOKEN"},
    {"--offline", "only gemma pull uses the network"},
    {"--trust-remote-code", "gemma runs no code of a model's repository"},

    {"-ngl --n-gpu-layers --gpu-layers",
     "gemma computes on the CPU and has no layers to offload"},
    {"--gpu-memory-utilization --memory-limit", "--memory SIZE", "serve"},
    {"-dev --device --device-map --gpu --list-devices -sm --split-mode -ts "
     "--tensor-split -mg --main-gpu -ot --override-tensor -cmoe --cpu-moe "
     "-ncmoe --n-cpu-moe --num-gpu -nkvo --no-kv-offload -kvo --kv-offload -tp "
     "--tensor-parallel-size --pipeline-parallel-size --data-parallel-size "
     "--cpu-offload-gb --swap-space --enforce-eager --gpu-memory-utilization",
     "gemma computes on the CPU"},
    {"-fa --flash-attn", "attention needs no switch here"},
    {"--mlock", "weights stay in memory as the system decides"},
    {"--mmap --no-mmap --map",
     "weights are mapped or packed as their format needs"},
    {"--numa", "gemma doctor shows the processors that gemma may use"},
    {"-tb --threads-batch --num-threads --n-threads", "--threads"},
    {"-b -ub --batch-size --ubatch-size --prefill-tbatch-size "
     "--max-num-batched-tokens",
     "--chunk"},
    {"-ctk -ctv --cache-type-k --cache-type-v --kv-cache-dtype",
     "--cache-type"},
    {"--load-in-4bit", "--quantize q4"},
    {"--load-in-8bit", "--quantize q8"},
    {"--quantization", "--quantize"},
    {"--dtype --torch-dtype", "--type"},
    {"--dtype --torch-dtype",
     "weights keep the types of their file, or become those of --quantize"},

    {"-i --interactive -if --interactive-first --multiturn",
     "gemma chat MODEL is the interactive command"},
    {"-cnv --conversation", "--chat"},
    {"-no-cnv --no-conversation --no-chat", "--raw"},
    {"-st --single-turn", "gemma run MODEL \"TEXT\" answers once"},
    {"-mli --multiline-input",
     "\"\"\" begins and ends a message of several lines in gemma chat"},
    {"-sys --system-prompt", "--system"},
    {"-sysf --system-prompt-file", "--system \"$(cat FILE)\""},
    {"--jinja --no-jinja",
     "the template in the model's files is followed without an option"},
    {"--chat-template-file --chat-format", "--chat-template"},
    {"-rea --reasoning --reasoning-* --enable-thinking", "--think"},
    {"--tool-call-parser --enable-auto-tool-choice -rea --reasoning "
     "--reasoning-*",
     "calls of tools and thoughts are read without an option", "serve"},
    {"--no-think --nothink", "thoughts come only with --think"},
    {"--hidethinking", "the option -q leaves thoughts out", "--think"},
    {"--keep --context-shift --no-context-shift",
     "gemma chat --context-policy says what a full context forgets"},
    {"--prompt-cache --prompt-cache-*",
     "gemma chat keeps what it has read, and /save and /load its text"},
    {"--keepalive", "models stay loaded until the server ends", "serve"},
    {"--keepalive", "no model stays loaded after a command"},
    {"-np --parallel -ns --sequences --max-num-seqs", "--batch-size", "serve"},
    {"-np --parallel -ns --sequences",
     "gemma run --batch answers many prompts, gemma serve many requests"},
    {"-cb --cont-batching -nocb --no-cont-batching -kvu --kv-unified "
     "--workers --num-workers --threads-http",
     "requests are computed together without an option (--batch-size)",
     "serve"},
    {"-cb --cont-batching -nocb --no-cont-batching -kvu --kv-unified",
     "gemma run --batch computes prompts together"},
    {"-cram --cache-ram --cache-reuse --cache-prompt --no-cache-prompt "
     "--enable-prefix-caching --no-enable-prefix-caching",
     "beginnings of prompts are kept without an option, up to --memory",
     "serve"},
    {"--bind --listen --address --ip", "--host", "serve"},
    {"--api-key", "--api-key-file FILE", "serve"},
    {"-a --alias --served-model-name",
     "gemma serve NAME=MODEL gives a model a name", "serve"},
    {"--path --api-prefix --root-path", "routes begin with /v1", "serve"},
    {"--ssl-cert-file --ssl-certfile --ssl-cert", "--tls-cert", "serve"},
    {"--ssl-key-file --ssl-keyfile --ssl-key", "--tls-key", "serve"},
    {"--allowed-origins --allow-origins --origins", "--cors", "serve"},
    {"--max-queue-len --max-queue --max-concurrent-requests", "--max-queued",
     "serve"},
    {"--no-webui --no-ui", "--no-page", "serve"},
    {"--webui --ui", "the chat page is at / without an option", "serve"},
    {"--metrics --health", "/metrics and /health need no option", "serve"},
    {"-d --daemon --detach --background",
     "gemma serve MODEL & runs it beside the shell", "serve"},
    {"--port --host --api-key --api-key-file --unix-socket",
     "gemma serve MODEL is the server"},
    {"-fim",
     "gemma run --fill-prefix FILE --fill-suffix FILE fills a gap in code"},
    {"--mmproj --image --image-file --audio --video",
     "gemma reads texts only: no images or sounds yet"},

    {"--temp", "--temperature"},
    {"-s --random-seed", "--seed"},
    {"--n-predict --predict --num-predict --max-new-tokens "
     "--max-completion-tokens --max-generated-tokens",
     "--max-tokens"},
    {"--ctx --context-size --ctx-size --num-ctx --n-ctx --max-length "
     "--max-model-len --max-input-length --max-input-tokens "
     "--max-total-tokens --max-kv-size --seq-len --max-seq-len",
     "--context"},
    {"--repeat-penalty --rep-pen", "--repetition-penalty"},
    {"--repeat-last-n", "--penalty-window"},
    {"--typical", "--typical-p"},
    {"-l", "--logit-bias"},
    {"--mirostat --mirostat-* --xtc-* --dynatemp-* --adaptive-* "
     "--dry-multiplier --dry-base --dry-allowed-length --dry-penalty-last-n "
     "--dry-sequence-breaker --top-nsigma --top-n-sigma --tfs --samplers "
     "--sampler-seq "
     "--sampling-seq",
     "gemma samples by temperature, top-k, top-p, min-p, typical-p and "
     "penalties",
     "--temperature"},
    {"--do-sample --greedy", "--temperature"},
    {"--num-beams", "gemma searches no beams", "--temperature"},
    {"--ignore-eos",
     "an answer ends where the model ends it, or after --max-tokens"},
    {"--stream", "an answer is printed while it is written, without an option",
     "run chat"},
    {"-r --reverse-prompt --antiprompt", "--stop"},
    {"--n-probs", "--logprobs"},
    {"--num-return-sequences --best-of --n",
     "a command writes one answer: run it again with another --seed", "run"},
    {"--suffix", "--fill-suffix"},
    {"--user", "the text is an argument: gemma run MODEL \"TEXT\"", "run"},
    {"--temp --temperature --top-k --top-p --min-p --repeat-penalty "
     "--seed --n-predict -n --max-tokens --stop --system --schema",
     "each request has its own, as a field of its JSON", "serve"},
    {"-to", "--timeout"},
    {"-j -jf --json-schema --json-schema-file", "--schema"},
    {"--guided-json --response-format", "--format json --schema FILE"},
    {"--guided-regex", "--regex"},
    {"--guided-choice", "--choice"},
    {"--grammar --grammar-file --guided-grammar",
     "gemma reads no GBNF: --regex EXPR, --choice TEXT, or --format json with "
     "--schema FILE hold an answer to a form"},
    {"--format", "--json"},
    {"-j -jf --json-schema --json-schema-file --guided-* --response-format "
     "--format --grammar --grammar-file --schema --regex --choice",
     "gemma run has --format json, --schema, --regex and --choice", "chat"},
    {"-e --escape", "write \\n in the shell's own way: $'...' in bash",
     "PROMPT TEXT --system"},
    {"-md --model-draft --draft --draft-* --spec-* --speculate",
     "gemma serve guesses no tokens, gemma run does", "serve"},
    {"-md --model-draft --draft --draft-* --spec-*",
     "guesses come from the text, not from a second model (--speculate)"},
    {"--rope-* --yarn-*", "the model's files say how positions are encoded"},
    {"--nobos --no-bos --no-add-special-tokens",
     "there is a BOS token only with --bos"},
    {"--nobos --no-bos --no-add-special-tokens",
     "gemma run --raw --parse-control reads written control tokens", "run"},
    {"--add-bos --add-special-tokens", "--bos"},
    {"--parse-special", "--parse-control"},
    {"--no-parse-special",
     "control tokens are read as text, unless --parse-control is given"},
    {"--ids", "token ids are printed without an option", "tokenize"},
    {"--show-count", "gemma tokenize MODEL \"TEXT\" | wc -w counts the tokens",
     "tokenize"},
    {"--stdin", "a pipe or file at standard input is read without an option",
     "--file"},

    {"-co --color",
     "a terminal shows Markdown in colour; NO_COLOR and --markdown off turn "
     "that off"},
    {"--no-display-prompt",
     "only a terminal shows the prompt, dimmed before its completion; -q "
     "leaves it out"},
    {"--nowordwrap", "a pipe gets the text as it is: gemma run ... | cat"},
    {"-v -V --version", "gemma --version prints the version"},
    {"-lv -ld --verbosity --log-* --uvicorn-log-level --access-log "
     "--disable-log-requests --no-access-log",
     "standard error has a line for each request; -q leaves these out",
     "serve"},
    {"-lv -ld --verbosity --log-*",
     "gemma writes no log: -v prints more on standard error"},
    {"--perf --no-perf --show-timings --timings",
     "the option -v prints the speed", "--threads"},
    {"--debug", "the option -v prints more on standard error"},
    {"--no-warmup", "gemma run computes no warm-up", "run chat"},
    {"-bf --binary-file --prompt-file", "--file"},
    {"--output-file --out", "--output"},
    {"-f", "--force (elsewhere, -f names a file to read)"},

    {"--lora-scaled --adapter --adapter-path --lora-modules --enable-lora",
     "--lora FILE=SCALE"},
    {"--imatrix", "--importance"},
    {"--pure --outtype --token-embedding-type --output-tensor-type", "--type"},
    {"--allow-requantize", "quantized weights are quantized again, with a note",
     "quantize"},
    {"--dry-run",
     "gemma inspect MODEL --quantize q4 says how much memory that needs",
     "quantize"},
    {"--embedding --embeddings",
     "a model that embeds answers /v1/embeddings without an option", "serve"},
    {"--rerank --reranking",
     "/v1/score says how probable each of several answers is", "serve"},
    {"--embedding --embeddings", "gemma embed MODEL turns texts into vectors"},
    {"--pooling", "the model's files say how a text becomes one vector",
     "embed"},
    {"--prompt-name", "--prompt"},
    {"--normalize", "vectors have length 1, unless --no-normalize is given"},
    {"--truncate-dim", "--dimensions"},
    {"--kl-divergence --kl-divergence-base",
     "gemma compare BASE OTHER measures the divergence of two models"},
    {"--chunks --from-chunk",
     "the whole text is read: head -c BYTES FILE prints its beginning", "FILE"},
    {"--license",
     "gemma list --all --json prints the licence of each model that gemma pull "
     "knows by name",
     "inspect list"},
    {"--template",
     "gemma prints no template; a model's folder has it in chat_template.jinja "
     "or tokenizer_config.json",
     "inspect"},
    {"--modelfile --parameters",
     "gemma reads no Modelfile; gemma inspect MODEL --all lists the model's "
     "configuration",
     "inspect"},
};

// Words of llama.cpp's tools that are not -f or -o with a value in the same
// word.
constexpr std::string_view kOtherWords =
    "-fit -fitc -fitp -fitt -fd -oe -ofreq -opt -otd";

// Whether a list, such as "-p --prompt --spec-*", has a word.
bool Lists(std::string_view words, std::string_view word) {
  for (const std::string_view each : absl::StrSplit(words, ' ')) {
    const std::string_view start = absl::StripSuffix(each, "*");
    if (word == each ||
        (start.size() < each.size() && absl::StartsWith(word, start))) {
      return true;
    }
  }
  return false;
}

bool ListsAlike(std::string_view words, std::string_view word) {
  const std::vector<std::string_view> all = absl::StrSplit(words, ' ');
  return std::any_of(all.begin(), all.end(), [&](std::string_view each) {
    return AreAlike(each, word);
  });
}

std::string_view Find(std::string_view word) {
  for (const Habit& habit : kOptionHints) {
    if (Lists(habit.words, word)) return habit.hint;
  }
  return "";
}

// "--top-k" for "--top_k".
std::string Spelled(std::string_view option) {
  if (!absl::StartsWith(option, "--")) return std::string(option);
  return absl::StrReplaceAll(option, {{"_", "-"}});
}

}  // namespace

bool IsOptionElsewhere(std::string_view word) {
  return !Find(word).empty() || Lists(kOtherWords, word);
}

std::vector<std::string_view> AllOptionHints() {
  std::vector<std::string_view> hints;
  for (const Habit& habit : kOptionHints) hints.push_back(habit.hint);
  return hints;
}

std::vector<std::string> WordsOfOptionHints() {
  std::vector<std::string> words;
  for (const Habit& habit : kOptionHints) {
    for (const std::string_view word : absl::StrSplit(habit.words, ' ')) {
      words.push_back(absl::StrReplaceAll(word, {{"*", "x"}}));
    }
  }
  return words;
}

std::string_view OwnOption(std::string_view option) {
  const std::string_view hint = Find(Spelled(option));
  // "--lora" of "--lora FILE=SCALE"
  return absl::StartsWith(hint, "--") ? hint.substr(0, hint.find(' ')) : "";
}

std::string OptionHint(std::string_view option, std::string_view command,
                       const std::vector<std::string>& own) {
  const std::string spelled = Spelled(option);
  std::string_view hint;
  const auto find = [&](auto lists) {
    for (const Habit& habit : kOptionHints) {
      if (hint.empty() && lists(habit.words, spelled) &&
          Fits(habit.hint, habit.about, command, own)) {
        hint = habit.hint;
      }
    }
  };
  find(Lists);
  for (const std::string& each : own) {  // "--topK"
    if (hint.empty() && absl::StartsWith(each, "--") &&
        AreAlike(each, option)) {
      hint = each;
    }
  }
  find(ListsAlike);
  if (!absl::StartsWith(hint, "--")) {
    return absl::StrReplaceAll(hint, {{"COMMAND", command}});
  }
  const bool is_root = command == kCommandName;
  return absl::StrCat("gemma ", is_root ? "" : command, is_root ? "" : " ",
                      "has ", hint);
}

}  // namespace gemma::tools
