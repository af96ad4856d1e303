// gemma run: one prompt, one answer.

#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gemma/gemma.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/answer/answer.h"
#include "tools/gemma/answer/answer_options.h"
#include "tools/gemma/answer/answer_report.h"
#include "tools/gemma/answer/batch.h"
#include "tools/gemma/answer/fill.h"
#include "tools/gemma/answer/guard.h"
#include "tools/gemma/answer/prompt.h"
#include "tools/gemma/answer/prompt_source.h"
#include "tools/gemma/answer/run_options.h"
#include "tools/gemma/answer/steering.h"
#include "tools/gemma/answer/turn_options.h"
#include "tools/gemma/chat/chat.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/cli/grammar_options.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/cli/output_check.h"
#include "tools/gemma/cli/simd_option.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/logit_rows.h"
#include "tools/gemma/io/terminal_text.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/model_error.h"

namespace gemma::tools {
namespace {

constexpr size_t kMaxAlternatives = 1000;

std::string_view ModeNote(bool tuned, bool chat) {
  if (tuned) {
    return chat ? "the model is instruction-tuned: your prompt is a chat turn "
                  "(--raw: completed as it is)"
                : "the model is instruction-tuned, but the prompt is "
                  "completed as it is";
  }
  return chat ? "a base model, but the prompt is a chat turn"
              : "a base model: it completes your prompt (--chat: a chat turn)";
}

PromptOptions PromptOf(const RunOptions& options, const ChatOptions& turns,
                       const Model& model) {
  return {.chat = IsChat(model, options.model, options.chat, options.raw),
          .no_turns = options.model.chat_template == kNoTemplate,
          .raw = options.raw,
          .parse_control = options.parse_control,
          .turns = turns};
}

// Says on standard error what is special about the prompt's tokens.
absl::Status NoteTokens(const Model& model, std::string_view prompt,
                        const PromptOptions& options) {
  if (options.chat) {
    GEMMA_ASSIGN_OR_RETURN(const ChatTemplate turns, ChatTurns(model));
    NoteTurns(model, turns);
  } else if (!options.parse_control) {
    GEMMA_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, TokenizerOf(model));
    NoteControlTokens(*tokenizer, prompt);
  }
  return absl::OkStatus();
}

// Returns how a report begins: the model and the options.
nlohmann::ordered_json HeadOf(const RunOptions& options, const Model& model) {
  const bool fill = !options.fill.asked_by().empty();
  return RequestJson(
      {options.model, options.answer, options.grammar, options.steering,
       options.turns, options.system,
       !fill && IsChat(model, options.model, options.chat, options.raw),
       options.parse_control},
      model);
}

absl::Status RunLines(RunOptions options, const ChatOptions& turn_options) {
  std::vector<std::string> models = ModelPaths(options.model);
  models.push_back(options.guard.model);
  GEMMA_RETURN_IF_ERROR(CheckOutput(
      options.batch.output, models,
      {options.batch.input, options.guard.policy.file, options.grammar.schema,
       options.turns.tools, ChatTemplateFile(options.model)}));
  GEMMA_ASSIGN_OR_RETURN(const Model model, LoadModel(options.model));
  GEMMA_ASSIGN_OR_RETURN(const std::unique_ptr<Guard> guard,
                         Guard::Load(options.guard, options.model));
  options.batch.guard = guard.get();
  options.batch.prompt = PromptOf(options, turn_options, model);
  GEMMA_RETURN_IF_ERROR(CheckParseControl(options.batch.prompt));
  if (options.batch.prompt.chat) {
    GEMMA_ASSIGN_OR_RETURN(const ChatTemplate turns, ChatTurns(model));
    if (!options.model.quiet) NoteTurns(model, turns);
  }
  options.batch.head = HeadOf(options, model);
  options.batch.restart = options.force;
  options.batch.quiet = options.model.quiet;
  options.batch.verbose = options.verbose;
  BatchRequest defaults;
  defaults.system = options.system;
  defaults.options = options.answer;
  defaults.turns = turn_options;
  return RunBatch(model, options.model, options.batch, defaults);
}

// Answers `prompt`, whose tokens are `tokens`, and writes the answer or the
// report.
absl::StatusOr<Answer> AnswerPrompt(const RunOptions& options, Guard* guard,
                                    std::string_view prompt, Session& session,
                                    absl::Span<const TokenId> tokens) {
  const bool json = options.format == "json";
  if (guard == nullptr && !json) {
    return StreamAnswer(session, tokens, options.answer);
  }
  GEMMA_ASSIGN_OR_RETURN(
      Answer answer,
      guard == nullptr
          ? GatherAnswer(session, tokens, options.answer, options.wanted)
          : guard->AnswerTo(prompt, session, tokens, options.answer,
                            options.wanted));
  if (guard != nullptr && options.verbose) Note(VerdictsLine(answer.verdicts));
  const absl::Status refusal = RefusalOf(answer.verdicts);
  if (json) {
    const bool lists_tokens =
        options.lists_tokens || options.wanted.num_alternatives.has_value();
    const bool fill = !options.fill.asked_by().empty();
    nlohmann::ordered_json report = HeadOf(options, session.model());
    if (!fill) report["input"] = prompt;
    GEMMA_RETURN_IF_ERROR(
        WriteResult(AnswerJson(report, options.answer, answer, lists_tokens)));
  } else if (refusal.ok()) {
    GEMMA_RETURN_IF_ERROR(WriteAnswer(answer, options.answer));
  }
  if (!refusal.ok()) return refusal;
  return answer;
}

// Whether the user is at a terminal and has given neither a prompt nor an
// option that only a prompt has.
bool AsksForChat(const RunOptions& options, bool has_grammar) {
  return isatty(STDIN_FILENO) == 1 && OutputIsTerminal() &&
         !options.prompt.is_given && options.prompt.asked_by().empty() &&
         options.fill.asked_by().empty() && options.batch.input.empty() &&
         options.format == "text" && !options.raw && !options.parse_control &&
         !has_grammar;
}

absl::Status RunChat(const RunOptions& options) {
  ChatRunOptions chat;
  chat.model = options.model;
  chat.answer = options.answer;
  chat.steering = options.steering;
  chat.guard = options.guard;
  chat.turns = options.turns;
  chat.system = options.system;
  chat.chat = options.chat;
  chat.verbose = options.verbose;
  return Chat(std::move(chat));
}

absl::Status Run(RunOptions options) {
  GEMMA_RETURN_IF_ERROR(CheckRun(options));
  GEMMA_ASSIGN_OR_RETURN(const std::optional<Grammar> grammar,
                         ReadGrammar(options.grammar));
  if (grammar.has_value()) {
    if (!options.turns.empty()) {
      const std::string asked_by = options.turns.asked_by();
      return OptionError({asked_by, "--format", "--regex", "--choice"},
                         absl::StrCat(asked_by,
                                      " excludes --format json, "
                                      "--regex and --choice"));
    }
    options.answer.grammar = &*grammar;
    options.answer.is_json = options.grammar.format == "json";
    if (!options.model.quiet) NoteChoice(options.grammar);
  }
  if (AsksForChat(options, grammar.has_value())) {
    GEMMA_ASSIGN_OR_RETURN(const Model outline, ReadOutline(options.model));
    if (IsChat(outline, options.model, options.chat, options.raw)) {
      return RunChat(options);
    }
  }
  GEMMA_ASSIGN_OR_RETURN(const ChatOptions turn_options,
                         ReadTurnOptions(options.turns));
  UnescapeStops(&options.answer, options.model.quiet);
  options.answer.hides_thoughts = options.model.quiet;
  if (!options.batch.input.empty()) {
    return RunLines(std::move(options), turn_options);
  }
  DrawMissingSeed(&options.answer);
  const bool fill = !options.fill.asked_by().empty();
  std::string prompt;
  FillTexts texts;
  if (fill) {
    GEMMA_ASSIGN_OR_RETURN(texts, ReadFill(options.fill));
  } else {
    absl::StatusOr<std::string> read =
        ReadPrompt(options.prompt, TakesStdin(options), options.model.quiet);
    if (!read.ok() && !IsUsageError(read.status())) {
      // The prompt may be where the model belongs.
      GEMMA_RETURN_IF_ERROR(ReadOutline(options.model).status());
    }
    GEMMA_RETURN_IF_ERROR(read.status());
    prompt = *std::move(read);
  }
  // Before autoencoders are loaded.
  GEMMA_RETURN_IF_ERROR(ApplySimd(options.model.simd, options.model.quiet));
  GEMMA_ASSIGN_OR_RETURN(const Steering steering,
                         Steering::Load(options.steering));
  GEMMA_ASSIGN_OR_RETURN(const Model model, LoadModel(options.model));
  const bool tuned = model.is_instruction_tuned();
  const PromptOptions how = PromptOf(options, turn_options, model);
  const bool chat = !fill && how.chat;
  options.answer.is_turn = chat && grammar == std::nullopt;
  options.answer.has_tools = !turn_options.tools.empty();
  GEMMA_ASSIGN_OR_RETURN(
      const std::vector<TokenId> tokens,
      fill ? FillTokens(model, options.model.path, options.fill, texts,
                        &options.answer)
           : PromptTokens(model, prompt, options.system, how));
  GEMMA_RETURN_IF_ERROR(FindTokens(model, &options.answer, FlagLabel));
  GEMMA_ASSIGN_OR_RETURN(const std::unique_ptr<Guard> guard,
                         Guard::Load(options.guard, options.model));
  GEMMA_ASSIGN_OR_RETURN(Session session, CreateSession(model, options.model,
                                                        DefaultContext(model)));
  NoteLongContext(model, options.model);
  GEMMA_RETURN_IF_ERROR(CheckFits(session, tokens.size()));
  GEMMA_RETURN_IF_ERROR(steering.Attach(session));
  if (options.answer.max_tokens == 0 && !chat) {
    options.answer.max_tokens = kMaxCompletionTokens;
  }

  if (!options.model.quiet && !fill) {
    Note(ModeNote(tuned, chat));
    GEMMA_RETURN_IF_ERROR(NoteTokens(model, prompt, how));
    if (prompt.empty()) {
      Note("the prompt is empty: the model writes a text from nothing");
    }
    if (!chat) options.answer.echo = prompt;
  }
  GEMMA_ASSIGN_OR_RETURN(
      const Answer answer,
      AnswerPrompt(options, guard.get(), prompt, session, tokens));
  NoteAnswer(answer, options.answer, session.options().max_tokens,
             options.verbose, options.model.quiet);
  const bool cancelled = answer.stats.stop_reason == StopReason::kCancelled;
  return cancelled ? InterruptedError() : absl::OkStatus();
}

}  // namespace

void AddRun(CLI::App& app, Action* action) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command =
      app.add_subcommand("run", "Answer a prompt, or complete a text");
  AddModelOptions(*command, &options->model, "4096");
  AddPromptSource(*command, &options->prompt);
  command->add_flag("--chat", options->chat,
                    "Answer the prompt as a chat turn (the default for\n"
                    "instruction-tuned models)");
  command->add_flag("--raw", options->raw,
                    "Complete the prompt as a text (the default for base\n"
                    "models)");
  AddParseControl(*command, &options->parse_control);
  AddChatTemplate(*command, &options->model);
  AddText(*command, "--system", "TEXT", &options->system,
          "Instructions that the model reads before the prompt");
  AddTurnOptions(*command, &options->turns);
  AddAnswerOptions(*command, &options->answer,
                   "256 for a completion, else the rest of --context");
  command->get_option("--seed")->default_str("random; 0 in a batch");
  AddGrammarOptions(*command, &options->grammar);
  AddMarkdown(*command, &options->answer);
  AddSteeringOptions(*command, &options->steering);
  AddFillOptions(*command, &options->fill);
  AddGuardOptions(*command, &options->guard);
  AddForms(*command, &options->format);
  CLI::Option* logprobs = AddNumber(
      *command, "--logprobs", &options->num_alternatives, 0, kMaxAlternatives,
      "With --json: print the log-probability of each token\n"
      "and of the N most probable tokens at its position",
      "none");
  command
      ->add_flag("--score-prompt", options->wanted.of_prompt,
                 "With --logprobs: include the tokens of the prompt")
      ->needs(logprobs);
  command->add_flag("--list-tokens", options->lists_tokens,
                    "With --json: list the tokens of the answer, as\n"
                    "--logprobs does, but without log-probabilities");
  CLI::Option* batch =
      AddText(*command, "--batch", "FILE", &options->batch.input,
              "Answer the prompts of FILE, several at once; one line\n"
              "of JSON for each (gemma help batch explains it); \"-\":\n"
              "standard input");
  AddText(*command, "-o,--output", "FILE", &options->batch.output,
          "Write the answer to FILE, which appears when it is\n"
          "complete. With --batch: the answers, one by one; an\n"
          "existing file is continued, or with --force emptied")
      ->default_str("standard output");
  AddForce(*command, &options->force);
  AddNumber(*command, "--batch-size", &options->batch.size, 1, kMaxSequences,
            "With --batch: number of prompts computed together")
      ->needs(batch);
  AddQuiet(*command, &options->model.quiet);
  command->add_flag("-v,--verbose", options->verbose,
                    "Print the speed on standard error, even if that is\n"
                    "not a terminal");
  command->footer(
      R"(Standard output receives only the answer. Ctrl-C ends the answer; the
exit code is then 130. Write "--" before a prompt that begins with a dash.
On a terminal, lines break between words, and a completion follows its
prompt; --markdown shows the Markdown of chat turns there.

With --tools, standard output receives each call of a tool as a line of
JSON, {"name", "arguments"}, after the text, if there is any. The model then
waits for the results: gemma chat and "messages" in a --batch give them.

With --format json, --regex or --choice, only tokens that can continue such
an answer are chosen. If --max-tokens, --stop, --timeout, the context or
Ctrl-C cuts an answer short, it is only the beginning of one; -v and
--json print why an answer ended. JSON is on one line, with properties in
the order of the schema; a schema with a keyword that cannot be enforced is
refused. A prompt that asks for such an answer helps the model.

An answer that ends too early is noted on standard error, except with -q.

With --json, standard output receives an object when the answer has ended:
text, thoughts, tool_calls, stop_reason, prompt_tokens, new_tokens, the
seed, options, the times and the model's file; with --logprobs or
--list-tokens also tokens, with --score-prompt those of the prompt, and
with --guard the probabilities. If a text was refused, guard has refused,
and the fields of the answer are missing. The page json.md of gemma's
sources describes each field.

)" + std::string(kFillHelp) +
      kGuardHelp + kBatchHelp +
      R"(Examples:
  gemma run gemma-3-270m "Once upon a time, there was a little" -n 64
  gemma run gemma-3-1b-it-q4 --system "Be brief." < question.txt
  gemma run gemma-3-270m "Once upon" --json --logprobs 3
  gemma run gemma-3-1b-it-q4 --format json --schema person.json \
    "Invent a person."
  gemma run gemma-3-1b-it-q4 --choice yes --choice no "Is ice cold?"
  gemma run gemma-3-1b-it-q4 --batch prompts.jsonl -o answers.jsonl

)");
  CLI::Option* prompt = command->get_option("PROMPT");
  command->callback([=] {
    options->prompt.is_given = prompt->count() > 0;
    if (logprobs->count() > 0) {
      options->wanted.num_alternatives = options->num_alternatives;
    }
    *action = [=] {
      // A batch writes its output itself, to continue it.
      const bool is_batch = !options->batch.input.empty();
      return WithOutput(*command, is_batch ? "" : options->batch.output,
                        [=] { return Run(*options); });
    };
  });
}

}  // namespace gemma::tools
