#include "tools/gemma/words/type_habits.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"

namespace gemma::tools {
namespace {

// A type of other tools, and the nearest of weights or of numbers.
struct TypeHabit {
  std::string_view words;  // separated by blanks
  std::string_view nearest;
  bool is_of_gguf = false;  // also a type of --layout gguf
};

constexpr TypeHabit kTypes[] = {
    {"f16 fp16 float16 half bf16", "bfloat16"},
    {"f32 fp32 float", "float32"},
    {"q8_0 q8 i8 q5_1 q5_0 q4_1 q4_0 iq4_nl", "int8"},
    {"f16 fp16 float16 half bfloat16", "bf16"},
    {"f32 fp32 float float32 copy", "keep"},
    {"q8_0", "q8", true},
    {"int8 8bit", "q8"},
    {"q6_k", "q6", true},
    {"q5_0 q5_1 q5_k q5_k_s q5_k_m", "q5"},
    {"iq4_nl", "q4", true},
    {"q4_1 q4_k q4_k_s q4_k_m int4 4bit", "q4"},
    {"iq4_xs q3_k_m", "q4s"},
};

bool Names(const TypeHabit& habit, std::string_view type) {
  for (const std::string_view word : absl::StrSplit(habit.words, ' ')) {
    if (word == type) return true;
  }
  return false;
}

}  // namespace

std::string_view NearestType(std::string_view type,
                             const std::vector<std::string>& types) {
  for (const TypeHabit& habit : kTypes) {
    if (Names(habit, type) &&
        std::find(types.begin(), types.end(), habit.nearest) != types.end()) {
      return habit.nearest;
    }
  }
  return "";
}

bool IsTypeOfGguf(std::string_view type) {
  const std::string lower = absl::AsciiStrToLower(type);
  return std::any_of(std::begin(kTypes), std::end(kTypes),
                     [&](const TypeHabit& habit) {
                       return habit.is_of_gguf && Names(habit, lower);
                     });
}

}  // namespace gemma::tools
