// How models call tools.

#ifndef GEMMA_TOOL_CALLS_H_
#define GEMMA_TOOL_CALLS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "gemma/export.h"

namespace gemma {

// The form in which a model reads declarations of tools and writes calls.
enum class ToolDialect {
  kNone,  // the model was not trained to call tools
  // Gemma 3 and 3n: text. Declarations are instructions. A call is
  //   {"name": "NAME", "parameters": {"KEY": VALUE}}
  // at the beginning of an answer, or in a block of code there that begins with
  // the line ```json or, also at a later line, ```tool_code. More calls follow,
  // each on a line of its own, and nothing follows the calls.
  kJson,
  // call:NAME{KEY:VALUE,...} between the control tokens <start_function_call>
  // and <end_function_call>. Strings are plain text between two <escape>.
  kFunctionGemma,
  // The same between <|tool_call> and <tool_call|>, with <|"|> around strings.
  kGemma4,
};

// Returns "none", "json", "functiongemma" or "gemma4".
GEMMA_EXPORT std::string_view ToolDialectName(ToolDialect dialect);

// Whether an answer calls tools.
enum class ToolChoice {
  kAuto,      // as the model likes
  kNone,      // never
  kRequired,  // an answer is at least one call, after thoughts if there are any
};

// What an answer with tools may be; see Grammar::FromTools.
struct ToolRules {
  ToolDialect dialect = ToolDialect::kNone;  // as ChatTemplate::tool_dialect
  ToolChoice choice = ToolChoice::kAuto;     // whether to call
  std::vector<std::string> names = {};       // what may be called; empty: all
  bool parallel = true;   // whether an answer may have several calls
  bool thinking = false;  // whether thoughts may come before required calls

  // Returns whether all fields are equal.
  friend bool operator==(const ToolRules&, const ToolRules&) = default;
};

// The next part of a call, while it is generated.
struct ToolCallPiece {
  size_t index = 0;  // of the call in the answer, from 0
  // The name of the tool, in the first piece of the call; then empty.
  std::string_view name;
  // The next bytes of the arguments: together, a JSON object without blanks.
  std::string_view arguments;
};

}  // namespace gemma

#endif  // GEMMA_TOOL_CALLS_H_
