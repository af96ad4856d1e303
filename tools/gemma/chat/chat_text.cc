#include "tools/gemma/chat/chat_text.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/base/internal.h"
#include "tools/gemma/io/text.h"

namespace gemma::tools {
namespace {

// Bytes of a message that a list of turns shows.
constexpr size_t kShownBytes = 48;

std::string Rate(size_t tokens, double seconds) {
  return absl::StrFormat(
      "%s, %.1f tok/s", Counted(tokens, "token"),
      seconds > 0 ? static_cast<double>(tokens) / seconds : 0.0);
}

}  // namespace

std::string Shortened(std::string_view text) {
  std::string line(text.substr(0, text.find('\n')));
  const bool is_whole = line.size() == text.size();
  if (is_whole && line.size() <= kShownBytes) return line;
  line.resize(std::min(line.size(), kShownBytes));
  // Drop an incomplete character at the end.
  while (!line.empty() && !CheckUtf8(line, "").ok()) line.pop_back();
  return line + "...";
}

std::string ContextLine(const ContextUse& use) {
  if (!use.is_limited) return Counted(use.used, "token");
  return absl::StrCat(use.used, " of ", Counted(use.capacity, "token"), " (",
                      use.left(), " left)");
}

void AddAnswer(const GenerateStats& stats, ChatTotals* totals) {
  ++totals->answers;
  totals->last = stats;
  GenerateStats& sum = totals->sum;
  sum.prompt_tokens += stats.prompt_tokens;
  sum.new_tokens += stats.new_tokens;
  sum.prefill_seconds += stats.prefill_seconds;
  sum.decode_seconds += stats.decode_seconds;
  sum.drafted_tokens += stats.drafted_tokens;
  sum.accepted_tokens += stats.accepted_tokens;
}

std::string TotalsLine(const ChatTotals& totals) {
  const GenerateStats& sum = totals.sum;
  std::string line =
      absl::StrCat(Counted(totals.answers, "answer"),
                   "; prompts: ", Rate(sum.prompt_tokens, sum.prefill_seconds),
                   "; answers: ", Rate(sum.new_tokens, sum.decode_seconds));
  if (sum.drafted_tokens > 0) {
    absl::StrAppendFormat(&line, ", speculation %d of %d right",
                          sum.accepted_tokens, sum.drafted_tokens);
  }
  return line;
}

std::string UseText(const ContextUse& use, const std::vector<Turn>& turns) {
  std::string text = absl::StrCat("context: ", ContextLine(use), "\n");
  if (use.unread > 0) {
    absl::StrAppend(&text, "  ", Counted(use.unread, "token"),
                    " still to be read with the next message\n");
  }
  for (size_t i = 0; i < use.turns.size() && i < turns.size(); ++i) {
    absl::StrAppend(&text, "  turn ", i + 1, ": ",
                    Counted(use.turns[i], "token"), ": ",
                    Shortened(turns[i].message), "\n");
  }
  return text;
}

}  // namespace gemma::tools
