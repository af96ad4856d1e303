// The names of the control tokens of turns, thoughts and tools, and what stands
// for them in models without such tokens.

#ifndef GEMMA_SRC_TEXT_TOKENIZER_CONTROL_NAMES_H_
#define GEMMA_SRC_TEXT_TOKENIZER_CONTROL_NAMES_H_

#include <array>
#include <string_view>

namespace gemma::internal {

// Around declarations, calls, results and strings in them.
struct ToolMarks {
  std::string_view open_declaration, close_declaration;
  std::string_view open_call, close_call;
  std::string_view open_result, close_result;
  std::string_view quote;  // on both sides of a string; nothing is escaped
};

// Around turns and thoughts. A vocabulary without thoughts has no such names.
struct TurnMarks {
  ToolMarks tools = {};
  std::string_view open, close;
  std::string_view think = "";                             // the sign to think
  std::string_view open_channel = "", close_channel = "";  // of thoughts
};

inline constexpr TurnMarks kGemma4Turns = {
    .tools = {"<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>",
              "<|tool_response>", "<tool_response|>", "<|\"|>"},
    .open = "<|turn>",
    .close = "<turn|>",
    .think = "<|think|>",
    .open_channel = "<|channel>",
    .close_channel = "<channel|>"};

// Those of Gemma 1 to 3, and of FunctionGemma, which alone has tools.
inline constexpr TurnMarks kGemma3Turns = {
    .tools = {"<start_function_declaration>", "<end_function_declaration>",
              "<start_function_call>", "<end_function_call>",
              "<start_function_response>", "<end_function_response>",
              "<escape>"},
    .open = "<start_of_turn>",
    .close = "<end_of_turn>"};

// For calls that are text, as Gemma 3 writes them.
// The lines that begin a block of code with calls: at the beginning of an
// answer either of them, at later lines only the second. An ordinary answer may
// have JSON in a block.
inline constexpr std::array<std::string_view, 2> kCallFences = {
    "```json\n", "```tool_code\n"};
inline constexpr std::string_view kLaterFence = kCallFences[1];
// What ends such a block.
inline constexpr std::string_view kFenceEnd = "\n```";

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TOKENIZER_CONTROL_NAMES_H_
