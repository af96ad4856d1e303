#include "src/jinja/run/jinja_template.h"

#include <gtest/gtest.h>

#include "tests/jinja/render.h"

namespace gemma::internal {
namespace {

TEST(JinjaTemplate, TemplateRaisesItsWords) {
  const absl::StatusOr<MarkedText> result =
      Render("a\n{{ raise_exception('No ' ~ x) }}", R"({"x": "system"})");
  EXPECT_EQ(TextOf(result), "<error: INVALID_ARGUMENT: No system>");
  EXPECT_TRUE(IsRaised(result.status()));
  EXPECT_FALSE(IsRaised(Render("{{ 1 + 'a' }}").status()));
  EXPECT_FALSE(IsRaised(absl::OkStatus()));
}

TEST(JinjaTemplate, ErrorsNameTheLine) {
  EXPECT_EQ(TextOf(Render("\n\n{{ 1 + 'a' }}")),
            "<error: INVALID_ARGUMENT: line 3: '+' does not accept 'int' and "
            "'str'>");
  EXPECT_EQ(TextOf(Render("\r\n{{ a.b.c }}", R"({"a": {}})")),
            "<error: INVALID_ARGUMENT: line 2: 'dict object' has no attribute "
            "'b'>");
  EXPECT_EQ(TextOf(Render("{# \n #}{% if x %}")),
            "<error: INVALID_ARGUMENT: line 2: the end of the template, wanted "
            "a tag 'elif' or 'else' or 'endif'>");
}

TEST(JinjaTemplate, UnknownNamesAreRefused) {
  for (const char* source :
       {"{{ x | urlencode }}", "{{ 'wordwrap' is filter }}",
        "{% include 'a' %}", "{% extends 'a' %}", "{% block a %}{% endblock %}",
        "{{ lipsum() }}", "{{ 'a'.encode() }}",
        "{{ ['a'] | map('urlencode') | list }}",
        "{% autoescape true %}{% endautoescape %}", "{{ '\\N{DASH}' }}",
        "{{ 'ǆ'.upper() }}", "{{ ('a' | safe) * 2 }}", "{{ self }}",
        "{{ range(3) }}", "{{ '١'.isdigit() }}", "{{ '{:e}'.format(1.5) }}"}) {
    const absl::StatusOr<MarkedText> result = Render(source);
    EXPECT_TRUE(absl::IsUnimplemented(result.status()))
        << source << ": " << TextOf(result);
    EXPECT_TRUE(result.status().message().starts_with("line 1: "))
        << TextOf(result);
  }
  EXPECT_EQ(TextOf(Render("\n{{ x | urlencode }}")),
            "<error: UNIMPLEMENTED: line 2: the filter 'urlencode' is not "
            "supported>");
}

// As in jinja2, where an 'if' decides whether they are reached.
TEST(JinjaTemplate, UnknownFiltersFailLate) {
  const std::string source =
      "{% if x %}{{ x | from_json }}{% endif %}{{ (y is odd_one) if x else 1 }}"
      "{{ 'a' }}";
  EXPECT_EQ(TextOf(Render(source, R"({"x": false})")), "1a");
  EXPECT_EQ(TextOf(Render(source, R"({"x": true})")),
            "<error: UNIMPLEMENTED: line 1: the filter 'from_json' is not "
            "supported>");
}

TEST(JinjaTemplate, VariablesAreADict) {
  const absl::StatusOr<JinjaTemplate> parsed = JinjaTemplate::Parse("a");
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(
      absl::IsInvalidArgument(parsed->Render(JinjaValue::None()).status()));
  EXPECT_EQ(TextOf(parsed->Render(JinjaValue::Dict({}))), "a");
}

TEST(JinjaTemplate, SourceIsUtf8) {
  EXPECT_TRUE(absl::IsInvalidArgument(JinjaTemplate::Parse("a\xFF").status()));
}

// Bytes that are not UTF-8 count as characters of their own.
TEST(JinjaTemplate, AcceptsBytesOfMessages) {
  const absl::StatusOr<JinjaTemplate> parsed =
      JinjaTemplate::Parse("{{ m | length }}{{ m[1] }}{{ m | upper }}");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(
      TextOf(parsed->Render(JinjaValue::Dict(
          {{"m", JinjaValue::String("a\xFF\xC3z", TextOrigin::kMessage)}}))),
      "4\xFF"
      "A\xFF\xC3Z");
}

TEST(JinjaTemplate, DateNeedsLocalTime) {
  const std::string source = "{{ strftime_now('%d %b %Y') }}";
  EXPECT_EQ(TextOf(Render(source, R"({"local_time_seconds": 1709164800})")),
            "29 Feb 2024");
  EXPECT_TRUE(absl::IsFailedPrecondition(Render(source).status()));
  EXPECT_EQ(TextOf(Render("{{ strftime_now is defined }}")), "True");
}

TEST(JinjaTemplate, CopiesShareTheProgram) {
  absl::StatusOr<JinjaTemplate> parsed = JinjaTemplate::Parse("{{ x }}");
  ASSERT_TRUE(parsed.ok());
  const JinjaTemplate copy = *parsed;
  parsed = absl::UnknownError("gone");
  EXPECT_EQ(TextOf(copy.Render(JinjaValue::Dict({{"x", JinjaValue::Int(3)}}))),
            "3");
}

// The sandbox of jinja2 hides these too.
TEST(JinjaTemplate, InternalsStayHidden) {
  for (const char* source :
       {"{{ ''.__class__.__mro__ }}", "{{ range.__globals__.x }}",
        "{{ [].append(1) }}", "{{ {}.update({}) }}"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Render(source).status())) << source;
  }
}

}  // namespace
}  // namespace gemma::internal
