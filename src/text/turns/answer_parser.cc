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
#include "src/text/turns/text_calls.h"

namespace gemma {

class AnswerParser::Impl {
 public:
  Impl(const Tokenizer& tokenizer, TextFunction on_text,
       TextFunction on_thoughts, CallFunction on_call, bool calls_in_text)
      : tokenizer_(tokenizer),
        on_text_(std::move(on_text)),
        on_thoughts_(std::move(on_thoughts)),
        on_call_(std::move(on_call)) {
    if (calls_in_text) finder_.emplace();
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
        if (finder_.has_value()) return TextOrCalls(text);
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
        if (finder_.has_value()) return TextOrCalls(text);
        for (const char c : text) TakeOfCall(c);
        SendCall();
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
          BeginCall(CallForm::kMarked);
        } else {
          if (finder_.has_value()) AddText(finder_->Finish());
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
        if (token == quote_ && !finder_.has_value()) {
          TakeOfCall(kQuoteByte);
        } else if (token == close_call_ && !finder_.has_value()) {
          EndMarkedCall();
        } else {
          Abandon();
          Control(token);
        }
        break;
    }
  }

  void Finish() {
    if (part_ == Part::kChannel || part_ == Part::kCall) Abandon();
    if (finder_.has_value()) AddText(finder_->Finish());
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

  void BeginCall(CallForm form) {
    part_ = Part::kCall;
    reader_.emplace(form);
    is_wrong_ = false;
    sent_ = 0;
  }

  void TakeOfCall(char c) {
    pending_ += c;
    is_wrong_ = is_wrong_ || !reader_->Take(c);
  }

  // Passes on what is new of a call.
  void SendCall() {
    if (!on_call_ || reader_->name().empty()) return;
    const std::string_view arguments = reader_->arguments();
    if (arguments.size() == sent_) return;
    on_call_({.index = answer_.tool_calls.size(),
              .name = sent_ == 0 ? reader_->name() : std::string_view(),
              .arguments = arguments.substr(sent_)});
    sent_ = arguments.size();
  }

  void EndCall() {
    SendCall();
    answer_.has_markers = true;
    answer_.tool_calls.push_back(
        {.name = reader_->name(), .arguments = reader_->arguments()});
    pending_.clear();
    part_ = Part::kText;
  }

  void EndMarkedCall() {
    if (!is_wrong_ && reader_->complete()) return EndCall();
    is_wrong_ = true;
    Abandon();
    if (sent_ == 0) AddText(NameOf(*close_call_));
  }

  // Takes text of an answer whose calls are text too.
  void TextOrCalls(std::string_view text) {
    std::string plain;
    for (const char c : text) {
      if (part_ == Part::kCall) {
        TakeOfCall(c);
        if (is_wrong_) Abandon();
        if (part_ == Part::kCall && reader_->complete()) EndCall();
      } else if (!found_) {
        found_ = finder_->Take(c, plain);
        if (!found_) continue;
        AddText(std::exchange(plain, ""));
        pending_ = finder_->fence();
        if (c == '{') BeginCallWith(c);
      } else if (abandoned_) {
        plain += c;
      } else if (c == '{') {
        BeginCallWith(c);
      } else if (finder_->fence().empty()
                     ? c != '\n'
                     : kFenceEnd.find(c) == kFenceEnd.npos) {
        // Text after calls: no grammar was enforced.
        plain += c;
        abandoned_ = true;
      }
    }
    AddText(plain);
    if (part_ == Part::kCall) SendCall();
  }

  void BeginCallWith(char c) {
    BeginCall(CallForm::kJson);
    TakeOfCall(c);
  }

  // Shows a channel or a call in wrong syntax as it is, unless the caller gets
  // calls in pieces.
  void Abandon() {
    const bool is_call = part_ == Part::kCall;
    part_ = Part::kText;
    abandoned_ = true;
    const std::string pending = std::exchange(pending_, "");
    if (is_call && on_call_ && (sent_ > 0 || !is_wrong_)) {
      answer_.ends_in_call = true;
      return;
    }
    if (finder_.has_value()) return AddText(pending);
    std::string raw(NameOf(is_call ? *open_call_ : *open_channel_));
    const std::string_view quote =
        quote_.has_value() ? NameOf(*quote_) : std::string_view();
    raw += absl::StrReplaceAll(pending,
                               {{std::string_view(&kQuoteByte, 1), quote}});
    AddText(raw);
  }

  const Tokenizer tokenizer_;
  const TextFunction on_text_;
  const TextFunction on_thoughts_;
  const CallFunction on_call_;
  std::optional<TokenId> open_call_, close_call_, quote_;
  std::optional<TokenId> open_channel_, close_channel_;
  Part part_ = Part::kText;
  std::string pending_;               // a channel's name, or a call
  std::optional<CallReader> reader_;  // of the call
  bool is_wrong_ = false;             // its syntax is wrong
  size_t sent_ = 0;                   // bytes of its arguments
  // The parts of calls that are text.
  std::optional<CallFinder> finder_;
  bool found_ = false;      // a call began
  bool abandoned_ = false;  // what follows is no call
  bool held_line_ = false;  // a line end after the thoughts so far
  ParsedAnswer answer_;
};

AnswerParser::AnswerParser(const Tokenizer& tokenizer, TextFunction on_text,
                           TextFunction on_thoughts, CallFunction on_call,
                           ToolDialect dialect)
    : impl_(std::make_unique<Impl>(tokenizer, std::move(on_text),
                                   std::move(on_thoughts), std::move(on_call),
                                   dialect == ToolDialect::kJson)) {}
AnswerParser::~AnswerParser() = default;
AnswerParser::AnswerParser(AnswerParser&&) noexcept = default;
AnswerParser& AnswerParser::operator=(AnswerParser&&) noexcept = default;

void AnswerParser::Text(std::string_view text) { impl_->Text(text); }
void AnswerParser::Control(TokenId token) { impl_->Control(token); }
void AnswerParser::Finish() { impl_->Finish(); }
const ParsedAnswer& AnswerParser::answer() const { return impl_->answer(); }

}  // namespace gemma
