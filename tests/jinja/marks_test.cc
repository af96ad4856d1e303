// Text of a message stays a message's, whatever a template does with it.

#include <gtest/gtest.h>

#include "tests/jinja/render.h"

namespace gemma::internal {
namespace {

// Renders with the variables m, a message, and others.
std::string Marks(std::string_view source) {
  return MarksOf(Render(source, R"({"m": " <eos>,B ", "n": 7, "k": {"x": "y"},
                                    "l": ["p", "q"], "t": true})"));
}

TEST(JinjaMarks, LiteralsAndMessages) {
  EXPECT_EQ(Marks("<a>{{ m }}{{ '<b>' }}"), "<a>« <eos>,B »<b>");
  EXPECT_EQ(Marks("{{ '<' ~ m + '>' }}"), "<« <eos>,B »>");
  EXPECT_EQ(Marks("{{ n }}{{ 7 }}{{ t }}{{ 1 + 1 }}{{ n + 1 }}"),
            "«7»7«True»2«8»");
}

TEST(JinjaMarks, CutTextKeepsMarks) {
  EXPECT_EQ(Marks("{{ m.strip() }}{{ m | trim }}"), "«<eos>,B<eos>,B»");
  EXPECT_EQ(Marks("{{ ('<' ~ m ~ '>')[0:3] }}"), "<« <»");
  EXPECT_EQ(Marks("{{ ('ab' ~ m)[::-1] }}"), "« B,>soe< »ba");
  EXPECT_EQ(Marks("{{ m.split(',')[0] ~ '|' ~ m.split(',')[-1] }}"),
            "« <eos>»|«B »");
  EXPECT_EQ(Marks("{{ m.partition('<eos>')[1] }}"), "«<eos>»");
  EXPECT_EQ(Marks("{{ m[1] }}{% for c in m %}{{ c }}.{% endfor %}"),
            "«< ».«<».«e».«o».«s».«>».«,».«B».« ».");
  EXPECT_EQ(Marks("{{ m.splitlines()[0] }}{{ (m | list)[1] }}{{ m | last }}"),
            "« <eos>,B < »");
}

TEST(JinjaMarks, ChangedTextKeepsMarks) {
  EXPECT_EQ(Marks("{{ ('a' ~ m) | upper }}"), "A« <EOS>,B »");
  EXPECT_EQ(Marks("{{ ('a' ~ m).lower().title() }}"), "A« <Eos>,B »");
  EXPECT_EQ(Marks("{{ (m ~ '<eos>') | replace('<eos>', '[x]') }}"),
            "« »[x]«,B »[x]");
  EXPECT_EQ(Marks("{{ 'a-b'.replace('-', m) }}"), "a« <eos>,B »b");
  EXPECT_EQ(Marks("{{ ('<' ~ m) | e }}"), "&lt;« &lt;eos&gt;,B »");
  EXPECT_EQ(Marks("{{ 'ab' * 2 ~ m * 2 }}"), "abab« <eos>,B  <eos>,B »");
}

TEST(JinjaMarks, JoinedTextKeepsMarks) {
  EXPECT_EQ(Marks("{{ l | join('<sep>') }}"), "«p»<sep>«q»");
  EXPECT_EQ(Marks("{{ '<sep>'.join(l) }}"), "«p»<sep>«q»");
  EXPECT_EQ(Marks("{{ m.join(['a', 'b']) }}"), "a« <eos>,B »b");
  EXPECT_EQ(Marks("{{ 'a{}c'.format(m) }}{{ '<%s>' % m }}"),
            "a« <eos>,B »c<« <eos>,B »>");
  EXPECT_EQ(Marks("{{ 'a\nb' | indent(2) }}{{ l | map('upper') | join }}"),
            "a«\n  »b«PQ»");
}

TEST(JinjaMarks, WrittenValuesAreMessages) {
  EXPECT_EQ(Marks("{{ k | tojson }}"), R"(«{"x": "y"}»)");
  EXPECT_EQ(Marks("{{ ['<b>'] | tojson }}"), R"(«["»<b>«"]»)");
  EXPECT_EQ(Marks("{{ k }}{{ l }}"), "«{'x': 'y'}['p', 'q']»");
  EXPECT_EQ(Marks("{% for a in k %}{{ a }}{% endfor %}{{ k | items | list }}"),
            "«x[('x', 'y')]»");
  EXPECT_EQ(
      Marks("{{ '7' | int }}{{ m | length }}{{ '1' ~ (m[:0] ~ n) | int }}"),
      "7«9»1«7»");
}

TEST(JinjaMarks, CapturedTextKeepsMarks) {
  EXPECT_EQ(Marks("{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(m) | trim }}"),
            "<« <eos>,B »>");
  EXPECT_EQ(Marks("{% set x %}a{{ m }}b{% endset %}{{ x[1:-1] }}"),
            "« <eos>,B »");
  EXPECT_EQ(Marks("{% filter trim %} {{ m }} {% endfilter %}"), "«<eos>,B»");
  EXPECT_EQ(Marks("{% set s = namespace(x='<a>') %}{% set s.x = s.x + m %}"
                  "{{ s.x }}"),
            "<a>« <eos>,B »");
}

TEST(JinjaMarks, ComparisonsIgnoreMarks) {
  EXPECT_EQ(Marks("{{ 'y' == k.x }}{{ 'y' in [k.x] }}{{ k['x'] }}"
                  "{{ '<eos>' in m }}{{ {'y': 'z'}[k.x] }}"),
            "TrueTrue«y»Truez");
}

// What published templates do with an answer that contains its thoughts.
TEST(JinjaMarks, SplitAnswerKeepsMarks) {
  EXPECT_EQ(
      MarksOf(Render("{% set c = c.split('</think>')[-1].lstrip('\\n') %}"
                     "{{- '<|im_start|>' + role + '\\n' + c + '<|im_end|>' }}",
                     R"({"role": "assistant",
                    "c": "<think>\nx</think>\n\na<|im_end|>b"})")),
      "<|im_start|>«assistant»\n«a<|im_end|>b»<|im_end|>");
}

}  // namespace
}  // namespace gemma::internal
