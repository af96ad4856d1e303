#include "src/grammar/json_numbers.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace gemma::internal {
namespace {

// A limit of non-negative numbers.
struct Limit {
  std::string whole;     // digits without leading zeros, except "0"
  std::string fraction;  // digits without trailing zeros
  bool excluded = false;
  bool real = true;  // false: limits only the number of digits
};

// The limits that the digits so far equal: later digits decide.
struct Tight {
  bool least = false;
  bool most = false;
};

class DecimalRange {
 public:
  // max_fraction: digits after the point; 0 means no point.
  DecimalRange(Limit least, Limit most, size_t max_fraction,
               ByteGrammar& grammar)
      : least_(std::move(least)),
        most_(std::move(most)),
        max_fraction_(max_fraction),
        g_(grammar) {}

  ExprId Make() {
    std::vector<ExprId> lengths;
    const size_t shortest = least_.whole.size();
    const size_t longest = most_.whole.size();
    for (size_t length = shortest; length <= longest; ++length) {
      // Numbers whose length differs from a limit's length are within it.
      Limit least = least_;
      Limit most = most_;
      if (length > shortest) {
        least = {std::string(length, '0'), "", false, false};
        least.whole[0] = '1';
      }
      if (length < longest) most = {std::string(length, '9'), "", false, false};
      if (least.whole > most.whole) continue;
      lengths.push_back(Whole(least, most, 0, {true, true}));
    }
    return g_.Choice(lengths);
  }

 private:
  ExprId Digit(char first, char last) {
    return g_.Byte(static_cast<uint8_t>(first), static_cast<uint8_t>(last));
  }

  // Adds a digit within the tight limits and its continuation. `rest` makes the
  // continuation for the limits that are still tight.
  template <class Rest>
  void AddDigits(char least, char most, Tight tight, Rest rest,
                 std::vector<ExprId>& alternatives) {
    if (tight.least && tight.most && least == most) {
      alternatives.push_back(g_.Sequence({Digit(least, least), rest(tight)}));
      return;
    }
    if (!tight.least) least = '0';
    if (!tight.most) most = '9';
    if (tight.least) {
      alternatives.push_back(
          g_.Sequence({Digit(least, least), rest(Tight{true, false})}));
      ++least;
    }
    if (tight.most && most >= '0') {
      alternatives.push_back(
          g_.Sequence({Digit(most, most), rest(Tight{false, true})}));
      --most;
    }
    if (least <= most) {
      alternatives.push_back(g_.Sequence({Digit(least, most), rest(Tight())}));
    }
  }

  // Matches the rest of a number after its first i whole digits.
  ExprId Whole(const Limit& least, const Limit& most, size_t i, Tight tight) {
    const size_t left = least.whole.size() - i;
    if (left == 0) {
      return Fraction({tight.least && least.real, tight.most && most.real});
    }
    if (!tight.least && !tight.most) {
      const auto count = static_cast<uint32_t>(left);
      return g_.Sequence(
          {g_.Repeat(Digit('0', '9'), count, count), Fraction({})});
    }
    std::vector<ExprId> alternatives;
    AddDigits(
        least.whole[i], most.whole[i], tight,
        [&](Tight t) { return Whole(least, most, i + 1, t); }, alternatives);
    return g_.Choice(alternatives);
  }

  ExprId Fraction(Tight tight) {
    std::vector<ExprId> alternatives;
    if (MayEnd(0, tight)) alternatives.push_back(g_.Empty());
    alternatives.push_back(
        g_.Sequence({g_.Text("."), MoreDigits(0, tight, /*least=*/1)}));
    return g_.Choice(alternatives);
  }

  // Whether a number may end after i digits of its fraction.
  bool MayEnd(size_t i, Tight tight) const {
    if (tight.least && (i < least_.fraction.size() || least_.excluded)) {
      return false;
    }
    return !tight.most || i < most_.fraction.size() || !most_.excluded;
  }

  // Matches `least` (0 or 1) or more digits after i digits of the fraction.
  ExprId MoreDigits(size_t i, Tight tight, uint32_t least) {
    if (!tight.least && !tight.most) {
      const auto most = static_cast<uint32_t>(max_fraction_ - i);
      if (most < least) return g_.Nothing();
      return g_.Repeat(Digit('0', '9'), least, most);
    }
    std::vector<ExprId> alternatives;
    if (least == 0 && MayEnd(i, tight)) alternatives.push_back(g_.Empty());
    if (i < max_fraction_) {
      const auto digit = [i](const std::string& digits) {
        return i < digits.size() ? digits[i] : '0';
      };
      AddDigits(
          digit(least_.fraction), digit(most_.fraction), tight,
          [&](Tight t) { return MoreDigits(i + 1, t, 0); }, alternatives);
    }
    return g_.Choice(alternatives);
  }

  Limit least_;
  Limit most_;
  size_t max_fraction_;
  ByteGrammar& g_;
};

// The shortest digits that read back as the same double, without an exponent.
Limit LimitOf(double magnitude, bool excluded) {
  char text[400];  // long enough for every double
  const auto end = std::to_chars(text, text + sizeof(text), std::abs(magnitude),
                                 std::chars_format::fixed);
  const std::string digits(text, end.ptr);
  const size_t point = std::min(digits.find('.'), digits.size());
  return {digits.substr(0, point),
          digits.substr(std::min(point + 1, digits.size())), excluded};
}

// Limits from here on only bound the number of digits.
constexpr double kTooLarge = 1e15;

Limit Largest() {
  return {std::string(kMaxLimitDigits, '9'), "", false, false};
}

// Matches non-negative numbers.
ExprId Magnitudes(double least, bool without_least, double most,
                  bool without_most, ByteGrammar& grammar) {
  if (least > most) return grammar.Nothing();
  const Limit from = LimitOf(least, without_least);
  const Limit to = most >= kTooLarge ? Largest() : LimitOf(most, without_most);
  const size_t whole =
      std::max(from.whole.size(), to.real ? to.whole.size() : size_t{1});
  const size_t fraction =
      std::max({kMaxLimitDigits - std::min<size_t>(whole, kMaxLimitDigits),
                from.fraction.size(), to.fraction.size()});
  return DecimalRange(from, to, fraction, grammar).Make();
}

}  // namespace

ExprId IntegersBetween(int64_t least, int64_t most, ByteGrammar& grammar) {
  // The lowest value of the type has no magnitude in it.
  constexpr int64_t kLowest = -std::numeric_limits<int64_t>::max();
  least = std::max(least, kLowest);
  most = std::max(most, kLowest);
  const auto between = [&](int64_t from, int64_t to) {
    if (from > to) return grammar.Nothing();
    return DecimalRange({absl::StrCat(from)}, {absl::StrCat(to)},
                        /*max_fraction=*/0, grammar)
        .Make();
  };
  const ExprId negative = between(std::max<int64_t>(-most, 1), -least);
  return grammar.Choice({grammar.Sequence({grammar.Text("-"), negative}),
                         between(std::max<int64_t>(least, 0), most)});
}

bool IsShort(double limit) {
  if (std::isinf(limit)) return true;
  char text[40];
  const auto end = std::to_chars(text, text + sizeof(text), std::abs(limit),
                                 std::chars_format::scientific);
  const auto digits = std::find(text, end.ptr, 'e') - text;
  return digits <= kMaxLimitDigits + 1 && std::abs(limit) < kTooLarge;
}

ExprId NumbersBetween(const NumberRange& range, ByteGrammar& grammar) {
  const auto [least, most, without_least, without_most] = range;
  std::vector<ExprId> alternatives;
  if (least < 0) {
    // Zero has no sign.
    const bool to_zero = most >= 0;
    const ExprId magnitudes =
        Magnitudes(to_zero ? 0 : -most, to_zero || without_most, -least,
                   without_least, grammar);
    alternatives.push_back(grammar.Sequence({grammar.Text("-"), magnitudes}));
  }
  if (most >= 0) {
    alternatives.push_back(Magnitudes(std::max(least, 0.0),
                                      least >= 0 && without_least, most,
                                      without_most, grammar));
  }
  return grammar.Choice(alternatives);
}

}  // namespace gemma::internal
