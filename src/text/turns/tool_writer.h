// Writes declarations, calls and results of tools as Gemma 4 and FunctionGemma
// read them.

#ifndef GEMMA_SRC_TEXT_TURNS_TOOL_WRITER_H_
#define GEMMA_SRC_TEXT_TURNS_TOOL_WRITER_H_

#include <string_view>

#include "absl/status/status.h"
#include "src/base/internal.h"
#include "src/jinja/values/marked_text.h"
#include "src/jinja/values/value.h"
#include "src/text/tokenizer/control_names.h"

namespace gemma::internal {

// Appends to a text as the published template of Gemma 4 31B does. Marks and
// the words of the grammar are the template's; names, keys and values are a
// message's, so a mark in them stays text. Keys are sorted without regard to
// case. Three things are errors that the template would write in broken syntax:
// parameters without a type, a response that is not an object, and lists of
// required names that are not lists.
class ToolWriter {
 public:
  // Both must outlive the writer.
  ToolWriter(const ToolMarks& marks, MarkedText& text)
      : marks_(marks), text_(text) {}

  // declaration:NAME{description:"...",parameters:{...}}. `tool` is one of
  // ToolsFromJson's list.
  absl::Status Declaration(const JinjaValue& tool);
  // call:NAME{KEY:VALUE,...}. `arguments` is a dict.
  absl::Status Call(std::string_view name, const JinjaValue& arguments);
  // response:NAME{KEY:VALUE,...}, or response:NAME{value:VALUE} if the result
  // is not a dict.
  absl::Status Result(std::string_view name, const JinjaValue& result);

 private:
  enum class Keys { kBare, kQuoted };

  void Words(std::string_view words) {
    text_.Append(words, TextOrigin::kTemplate);
  }
  // A string in quotes.
  void String(std::string_view text);
  // The text of a value in quotes, as str() writes it.
  absl::Status Quoted(const JinjaValue& value, bool upper = false);
  absl::Status Value(const JinjaValue& value, Keys keys);
  absl::Status Entries(const JinjaValue& dict, Keys keys);
  // ["a","b"].
  absl::Status Required(const JinjaValue& names);
  // NAME:{...},... of a schema's properties.
  absl::Status Properties(const JinjaValue& properties);
  absl::Status Property(const JinjaValue& schema);
  // items:{...} of an array's schema.
  absl::Status Items(const JinjaValue& items);
  absl::Status Parameters(const JinjaValue& parameters);

  const ToolMarks& marks_;
  MarkedText& text_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_TEXT_TURNS_TOOL_WRITER_H_
