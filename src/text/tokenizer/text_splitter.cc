#include "src/text/tokenizer/text_splitter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "src/base/hash_table.h"
#include "src/text/tokenizer/unicode_classes.h"

namespace gemma::internal {
namespace {

using Pattern = AddedTokenFinder::Pattern;

// Returns the patterns of one of the two searches. If normalizing makes two
// tokens equal, the first one counts; special tokens precede all others.
std::vector<Pattern> Patterns(const Vocabulary& vocabulary, bool normalized) {
  const TextRules& rules = *vocabulary.rules;
  std::vector<Pattern> patterns;
  HashSet<std::string> known;
  const auto add = [&](const AddedToken& token, TokenId id) {
    std::string text = normalized
                           ? Normalized(token.content, rules.normalizer, true)
                           : token.content;
    if (text.empty() || !known.insert(text).second) return;
    const PieceType type = vocabulary.pieces[static_cast<size_t>(id)].type;
    patterns.push_back({.text = std::move(text),
                        .token = id,
                        .is_control = IsControlType(type),
                        .single_word = token.single_word,
                        .lstrip = token.lstrip,
                        .rstrip = token.rstrip});
  };
  for (const bool special : {true, false}) {
    for (const AddedToken& token : rules.added) {
      if (token.special != special || token.normalized != normalized) continue;
      add(token, static_cast<TokenId>(token.id));
    }
  }
  if (normalized) return patterns;
  HashSet<TokenId> added;
  for (const AddedToken& token : rules.added) {
    added.insert(static_cast<TokenId>(token.id));
  }
  // The names of control tokens that the file does not list as added.
  for (size_t i = 0; i < vocabulary.pieces.size(); ++i) {
    const Vocabulary::Piece& piece = vocabulary.pieces[i];
    const auto id = static_cast<TokenId>(i);
    if (!IsControlType(piece.type) || added.contains(id)) continue;
    add({.content = piece.text}, id);
  }
  return patterns;
}

void StripLeft(std::string& text) { text.erase(0, LeadingSpace(text)); }
void StripRight(std::string& text) {
  text.resize(text.size() - TrailingSpace(text));
}

}  // namespace

std::string Normalized(std::string_view text,
                       const std::vector<NormalizerStep>& steps, bool prefix) {
  std::string out(text);
  for (const NormalizerStep& step : steps) {
    if (out.empty()) break;
    switch (step.type) {
      case NormalizerStep::Type::kPrepend:
        if (prefix) out.insert(0, step.content);
        break;
      case NormalizerStep::Type::kReplace:
        absl::StrReplaceAll({{step.pattern, step.content}}, &out);
        break;
      case NormalizerStep::Type::kStripLeft:
        StripLeft(out);
        break;
      case NormalizerStep::Type::kStripRight:
        StripRight(out);
        break;
    }
  }
  return out;
}

AddedTokenFinder::AddedTokenFinder(std::vector<Pattern> patterns)
    : patterns_(std::move(patterns)) {
  std::vector<PrefixMatcher::Entry> entries;
  for (size_t i = 0; i < patterns_.size(); ++i) {
    entries.push_back({patterns_[i].text, static_cast<TokenId>(i)});
  }
  matcher_ = PrefixMatcher(std::move(entries));
}

void AddedTokenFinder::Split(
    std::string_view text, bool controls,
    absl::FunctionRef<void(TokenId)> found,
    absl::FunctionRef<void(std::string_view, size_t)> between) const {
  size_t done = 0;
  size_t space_end = 0;  // of the last space that a token took
  for (size_t i = 0; i < text.size();) {
    const PrefixMatcher::Entry* entry = matcher_.Longest(text.substr(i));
    if (entry == nullptr) {
      ++i;
      continue;
    }
    const Pattern& pattern = patterns_[static_cast<size_t>(entry->token)];
    size_t begin = i;
    i += pattern.text.size();
    size_t end = i;
    if (pattern.is_control && !controls) continue;
    const std::string_view before = text.substr(0, begin);
    const std::string_view after = text.substr(end);
    if (pattern.single_word &&
        (EndsWithWord(before) || BeginsWithWord(after))) {
      continue;
    }
    if (pattern.lstrip) {
      begin = done < begin ? begin - TrailingSpace(before.substr(done)) : done;
    }
    if (pattern.rstrip) {
      // Known if an earlier token took the space around this one.
      if (end > space_end) space_end = end + LeadingSpace(after);
      end = space_end;
    }
    if (done < begin) between(text.substr(done, begin - done), done);
    found(pattern.token);
    done = end;  // a token in white space that another took moves this back
  }
  if (done < text.size()) between(text.substr(done), done);
}

TextSplitter::TextSplitter(const Vocabulary& vocabulary)
    : rules_(*vocabulary.rules),
      raw_(Patterns(vocabulary, false)),
      normalized_(Patterns(vocabulary, true)) {}

void TextSplitter::Split(
    std::string_view text, const Options& options,
    absl::FunctionRef<void(TokenId)> found,
    absl::FunctionRef<void(std::string_view)> merge) const {
  raw_.Split(text, options.controls, found,
             [&](std::string_view part, size_t begin) {
               const std::string normal =
                   Normalized(part, rules_.normalizer, options.prefix);
               normalized_.Split(normal, options.controls, found,
                                 [&](std::string_view rest, size_t offset) {
                                   SplitWords(std::string(rest),
                                              begin == 0 && offset == 0,
                                              options.prefix, merge);
                                 });
             });
}

void TextSplitter::SplitWords(
    std::string text, bool is_first, bool prefix,
    absl::FunctionRef<void(std::string_view)> merge) const {
  using Prefix = Metaspace::Prefix;
  absl::StrReplaceAll({{" ", kBlank}}, &text);
  const Metaspace& metaspace = rules_.metaspace;
  if (prefix && !absl::StartsWith(text, kBlank) &&
      (metaspace.prefix == Prefix::kAlways ||
       (metaspace.prefix == Prefix::kFirst && is_first))) {
    text.insert(0, kBlank);
  }
  std::string_view rest = text;
  while (metaspace.split && !rest.empty()) {
    const size_t word = std::min(rest.find(kBlank, 1), rest.size());
    merge(rest.substr(0, word));
    rest.remove_prefix(word);
  }
  if (!rest.empty()) merge(rest);
}

}  // namespace gemma::internal
