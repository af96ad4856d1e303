#include "gemma/answer_parser.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "src/base/internal.h"
#include "src/text/tokenizer/control_names.h"
#include "src/text/tokenizer/tokenizer_impl.h"
#include "src/text/turns/call_parser.h"

namespace gemma {

class AnswerParser::Impl {
 public:
  Impl(const Tokenizer& tokenizer, TextFunction on_text,
       TextFunction on_thoughts)
      : tokenizer_(tokenizer),
        on_text_(std::move(on_text)),
        on_thoughts_(std::move(on_thoughts)) {
    const bool is_gemma4 = Find(kGemma4Turns.open).has_value();
    const TurnMarks& marks = is_gemma4 ? kGemma4Turns : kGemma3Turns;
    open_call_ = Find(marks.tools.open_call);
    close_call_ = Find(marks.tools.close_call);
    quote_ = Find(marks.tools.quote);
    open_channel_ = Find(marks.open_channel);
    close_channel_ = Find(marks.close_channel);
  }

  void Text(std::string_view text) {
    switch (part_) {
      case Part::kText:
        AddText(text);
        break;
      case Part::kChannel:
        pending_ += text;
        BeginThoughts();
        break;
      case Part::kThoughts:
        AddThoughts(text);
        break;
      case Part::kCall:
        pending_ += text;
        break;
    }
  }

  void Control(TokenId token) {
    answer_.has_markers |= !NameOf(token).empty();
    switch (part_) {
      case Part::kText:
        if (token == open_channel_) {
          part_ = Part::kChannel;
        } else if (token == open_call_) {
          part_ = Part::kCall;
        } else {
          AddText(NameOf(token));
        }
        break;
      case Part::kChannel:
        // An empty thought may lack the line end after its name.
        if (token == close_channel_ && pending_ == kChannelName) {
          pending_.clear();
          part_ = Part::kText;
        } else {
          Abandon();
          Control(token);
        }
        break;
      case Part::kThoughts:
        if (token == close_channel_) {
          part_ = Part::kText;
          held_line_ = false;
        } else {
          AddThoughts(NameOf(token));
        }
        break;
      case Part::kCall:
        if (token == quote_) {
          pending_ += kQuoteByte;
        } else if (token == close_call_) {
          EndCall();
        } else {
          Abandon();
          Control(token);
        }
        break;
    }
  }

  void Finish() {
    if (part_ == Part::kChannel || part_ == Part::kCall) Abandon();
  }

  const ParsedAnswer& answer() const { return answer_; }

 private:
  enum class Part {
    kText,
    kChannel,  // the name of a channel, up to its line end
    kThoughts,
    kCall
  };
  static constexpr std::string_view kChannelName = "thought";

  std::optional<TokenId> Find(std::string_view name) const {
    const std::optional<TokenId> token = tokenizer_.Find(name);
    return token.has_value() && tokenizer_.IsControl(*token) ? token
                                                             : std::nullopt;
  }

  // What a token looks like where it has no meaning.
  std::string_view NameOf(TokenId token) const {
    const std::string_view name = tokenizer_.Piece(token);
    return IsPrintedControl(name) ? name : "";
  }

  void AddText(std::string_view text) {
    if (text.empty()) return;
    answer_.text += text;
    if (on_text_) on_text_(text);
  }

  void AddThoughts(std::string_view text) {
    if (text.empty()) return;
    // The line end before the closing mark is not part of the thoughts.
    std::string shown = std::exchange(held_line_, false) ? "\n" : "";
    shown += text;
    held_line_ = shown.back() == '\n';
    if (held_line_) shown.pop_back();
    answer_.thoughts += shown;
    if (on_thoughts_ && !shown.empty()) on_thoughts_(shown);
  }

  // Begins thoughts once the line with the channel's name is complete.
  void BeginThoughts() {
    const size_t end = pending_.find('\n');
    if (end == std::string::npos) {
      // The name cannot become "thought".
      if (!absl::StartsWith(kChannelName, pending_)) Abandon();
      return;
    }
    if (std::string_view(pending_).substr(0, end) != kChannelName) {
      return Abandon();
    }
    const std::string rest = std::exchange(pending_, "").substr(end + 1);
    part_ = Part::kThoughts;
    if (!answer_.thoughts.empty()) AddThoughts("\n");
    AddThoughts(rest);
  }

  void EndCall() {
    std::optional<ToolCall> call = ParseCall(pending_);
    if (!call.has_value()) {
      Abandon();
      return AddText(NameOf(*close_call_));
    }
    answer_.tool_calls.push_back(*std::move(call));
    pending_.clear();
    part_ = Part::kText;
  }

  // Shows a channel or a call in wrong syntax as it is.
  void Abandon() {
    const std::optional<TokenId> open =
        part_ == Part::kCall ? open_call_ : open_channel_;
    std::string raw(NameOf(*open));
    const std::string_view quote =
        quote_.has_value() ? NameOf(*quote_) : std::string_view();
    raw += absl::StrReplaceAll(std::exchange(pending_, ""),
                               {{std::string_view(&kQuoteByte, 1), quote}});
    part_ = Part::kText;
    AddText(raw);
  }

  const Tokenizer tokenizer_;
  const TextFunction on_text_;
  const TextFunction on_thoughts_;
  std::optional<TokenId> open_call_, close_call_, quote_;
  std::optional<TokenId> open_channel_, close_channel_;
  Part part_ = Part::kText;
  std::string pending_;     // a channel's name, or a call
  bool held_line_ = false;  // a line end after the thoughts so far
  ParsedAnswer answer_;
};

AnswerParser::AnswerParser(const Tokenizer& tokenizer, TextFunction on_text,
                           TextFunction on_thoughts)
    : impl_(std::make_unique<Impl>(tokenizer, std::move(on_text),
                                   std::move(on_thoughts))) {}
AnswerParser::~AnswerParser() = default;
AnswerParser::AnswerParser(AnswerParser&&) noexcept = default;
AnswerParser& AnswerParser::operator=(AnswerParser&&) noexcept = default;

void AnswerParser::Text(std::string_view text) { impl_->Text(text); }
void AnswerParser::Control(TokenId token) { impl_->Control(token); }
void AnswerParser::Finish() { impl_->Finish(); }
const ParsedAnswer& AnswerParser::answer() const { return impl_->answer(); }

}  // namespace gemma
