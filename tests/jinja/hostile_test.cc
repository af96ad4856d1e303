// Templates that try to cost too much.

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/jinja/render.h"

namespace gemma::internal {
namespace {

std::string Repeat(std::string_view text, size_t count) {
  std::string result;
  for (size_t i = 0; i < count; ++i) result += text;
  return result;
}

void ExpectExhausted(std::string_view source) {
  // Smaller than the defaults, so that the tests are fast.
  JinjaLimits limits;
  limits.steps = 200'000;
  limits.memory_bytes = size_t{16} << 20;
  limits.output_bytes = size_t{4} << 20;
  const absl::StatusOr<MarkedText> result = Render(source, "{}", limits);
  EXPECT_TRUE(absl::IsResourceExhausted(result.status()))
      << source.substr(0, 60) << ": " << TextOf(result).substr(0, 200);
}

TEST(JinjaHostile, DeepNestingIsRefused) {
  constexpr size_t kDeep = 50000;
  for (const auto& [open, close] : {std::pair("(", ")"),
                                    {"[", "]"},
                                    {"{1:", "}"},
                                    {"-", ""},
                                    {"not ", ""},
                                    {"x[", "]"},
                                    {"f(", ")"},
                                    {"1 if 1 else ", ""}}) {
    ExpectExhausted(absl::StrCat("{{ ", Repeat(open, kDeep), "1",
                                 Repeat(close, kDeep), " }}"));
  }
  ExpectExhausted(Repeat("{% if 1 %}", kDeep));
  ExpectExhausted(Repeat("{% for x in y %}", kDeep));
  ExpectExhausted(absl::StrCat("{% set ", Repeat("(", kDeep), "a",
                               Repeat(")", kDeep), " = 1 %}"));
  ExpectExhausted(absl::StrCat("{{ 1", Repeat(" + 1", kDeep), " }}"));
  ExpectExhausted(absl::StrCat("{{ [] ", Repeat("|list", kDeep), " }}"));
}

TEST(JinjaHostile, LongChainsOfElif) {
  EXPECT_EQ(
      TextOf(Render(absl::StrCat("{% if 0 %}", Repeat("{% elif 0 %}a", 20000),
                                 "{% else %}b{% endif %}"))),
      "b");
}

TEST(JinjaHostile, EndlessRecursionIsRefused) {
  ExpectExhausted("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}");
  ExpectExhausted(
      "{% macro f() %}{% call f() %}{% endcall %}{{ caller is defined }}"
      "{% endmacro %}{{ f() }}");
}

TEST(JinjaHostile, DeepValuesAreRefused) {
  ExpectExhausted(
      "{% set n = namespace(x=[]) %}{% for i in range(999) %}"
      "{% set n.x = [n.x] %}{% endfor %}");
  ExpectExhausted(
      "{% set n = namespace(x={}) %}{% for i in range(999) %}"
      "{% set n.x = {'a': n.x} %}{% endfor %}");
}

TEST(JinjaHostile, LongLoopsAreRefused) {
  ExpectExhausted(
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
      "{% endfor %}");
  ExpectExhausted("{{ range(1000000) }}");
  ExpectExhausted("{{ range(-9223372036854775807, 9223372036854775807) }}");
}

TEST(JinjaHostile, LargeTextsAreRefused) {
  ExpectExhausted(
      "{% set n = namespace(x='ab') %}{% for i in range(99) %}"
      "{% set n.x = n.x ~ n.x %}{% endfor %}");
  ExpectExhausted("{{ 'ab' * 9223372036854775807 }}");
  ExpectExhausted("{{ [1] * 9223372036854775807 }}");
  ExpectExhausted("{{ 'a' | center(9223372036854775807) }}");
  ExpectExhausted("{{ 'a\nb' | indent(9223372036854775807) }}");
  ExpectExhausted("{{ [[1]] | tojson(indent=999999999999) }}");
  ExpectExhausted("{% set x = 'a' * 1000000 %}{{ x.replace('', x) }}");
  ExpectExhausted("{% set x = 'a' * 1000000 %}{{ (x | list) | join(x) }}");
  ExpectExhausted("{{ [1] | batch(99999999999, 0) | list }}");
  ExpectExhausted(
      "{% set x = 'a' * 1000000 %}{% for i in range(9999) %}{{ x }}"
      "{% endfor %}");
}

// A list of 60 levels that contains itself twice on each has 2^60 leaves.
TEST(JinjaHostile, SharedValuesCostSize) {
  const std::string shared =
      "{% set n = namespace(x=[1], y=[1]) %}{% for i in range(60) %}"
      "{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}{% endfor %}";
  ExpectExhausted(shared + "{{ n.x }}");
  ExpectExhausted(shared + "{{ n.x | tojson }}");
  ExpectExhausted(shared + "{{ n.x == n.y }}");
  ExpectExhausted(shared + "{{ n.x < n.y }}");
}

TEST(JinjaHostile, IntegersDoNotOverflow) {
  for (const char* expression :
       {"9223372036854775807 + 1", "-9223372036854775807 - 2",
        "9223372036854775807 * 2", "2 ** 63", "2 ** 9223372036854775807",
        "9223372036854775808", "'9223372036854775808' | int", "1e300 | int",
        "-(-9223372036854775807 - 1)", "(-9223372036854775807 - 1) // -1",
        "(-9223372036854775807 - 1) | abs"}) {
    const absl::StatusOr<MarkedText> result =
        Render(absl::StrCat("{{ ", expression, " }}"));
    EXPECT_TRUE(absl::IsUnimplemented(result.status()))
        << expression << ": " << TextOf(result);
  }
  EXPECT_EQ(TextOf(Render("{{ (-9223372036854775807 - 1) % -1 }}"
                          "{{ 'abc'[9223372036854775807:] }}"
                          "{{ 'abc'[::9223372036854775807] }}"
                          "{{ 'abc'[::-9223372036854775807] }}")),
            "0ac");
}

TEST(JinjaHostile, LimitsAreParameters) {
  JinjaLimits limits;
  limits.output_bytes = 3;
  EXPECT_EQ(TextOf(Render("abc", "{}", limits)), "abc");
  EXPECT_EQ(TextOf(Render("ab{{ 'cd' }}", "{}", limits)),
            "<error: RESOURCE_EXHAUSTED: line 1: the template needs more than "
            "3 bytes of output>");
  limits = {};
  limits.source_bytes = 3;
  EXPECT_TRUE(absl::IsResourceExhausted(Render("abcd", "{}", limits).status()));
  limits = {};
  limits.depth = 2;
  EXPECT_TRUE(absl::IsResourceExhausted(
      Render("{{ x }}", R"({"x": [[[1]]]})", limits).status()));
}

// Objects of a template may refer to each other in circles.
TEST(JinjaHostile, CirclesAreFreed) {
  EXPECT_EQ(
      TextOf(Render("{% set a = namespace() %}{% set a.a = a %}"
                    "{% set a.l = [a, [a]] %}{% macro m() %}{% endmacro %}"
                    "{% set a.m = m %}{% for x in [1] %}"
                    "{% set a.loop = loop %}{% macro q() %}{{ x }}"
                    "{% endmacro %}{% set a.q = q %}{% endfor %}"
                    "{{ a.a.a.q() }}{{ a.loop.index }}")),
      "11");
}

TEST(JinjaHostile, EveryTruncationEnds) {
  const std::string source =
      "{%- macro f(a, b=1) -%}{{ a[1:2] ~ b|join('x') }}{%- endmacro -%}"
      "{% for k, v in d.items() if k is not none %}{{ f(k, b=[v]) }}{# c #}"
      "{% else %}{% raw %}x{% endraw %}{% endfor %}{{ {'a': (1, -2.5e3)} }}";
  for (size_t size = 0; size <= source.size(); ++size) {
    Render(source.substr(0, size), R"({"d": {"k": "v"}})")
        .status()
        .IgnoreError();
  }
}

}  // namespace
}  // namespace gemma::internal
