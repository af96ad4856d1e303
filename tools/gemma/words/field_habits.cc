#include "tools/gemma/words/field_habits.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tools/gemma/words/habits.h"

namespace gemma::tools {
namespace {

struct FieldHabit {
  std::string_view words;  // separated by blanks
  std::string_view meaning;
};

// Fields of other programs, and gemma's field in a batch. The habits of options
// count, too.
constexpr FieldHabit kFields[] = {
    {"max_length", "max_tokens"},
    {"stop_sequences stop_strings", "stop"},
    {"input inputs text content query question", "prompt"},
    {"instructions", "system"},
    {"custom_id", "id"},
    {"functions", "tools"},
    {"typ_p", "typical_p"},
    {"bias", "logit_bias"},
};

// What to do in place of a field, in a sentence.
constexpr FieldHabit kFieldHints[] = {
    {"model", "the model is an argument of the command"},
    {"stream", "each answer is written when it is complete"},
    {"n", "a line has one answer: repeat it with other seeds"},
    {"do_sample", "with the temperature 0, it is false"},
    {"num_beams", "gemma searches no beams"},
    {"response_format format json_schema schema",
     "--format json and --schema hold for all lines"},
    {"grammar regex", "--regex holds for all lines"},
    {"num_ctx n_ctx", "--context holds for all lines"},
    {"options parameters body params", "its fields stand in the line itself"},
};

template <size_t kSize>
std::string_view Find(const FieldHabit (&habits)[kSize],
                      std::string_view field) {
  for (const FieldHabit& habit : habits) {
    for (const std::string_view word : absl::StrSplit(habit.words, ' ')) {
      if (word == field) return habit.meaning;
    }
  }
  return "";
}

}  // namespace

std::string FieldHint(std::string_view field,
                      const std::vector<std::string>& own) {
  if (const std::string_view hint = Find(kFieldHints, field); !hint.empty()) {
    return std::string(hint);
  }
  std::string name(Find(kFields, field));
  if (name.empty()) {
    const std::string_view option = OwnOption(absl::StrCat("--", field));
    name = absl::StrReplaceAll(
        option.empty() ? field : absl::StripPrefix(option, "--"), {{"-", "_"}});
  }
  if (std::find(own.begin(), own.end(), name) == own.end()) return "";
  return absl::StrCat("gemma's field is ", name);
}

}  // namespace gemma::tools
