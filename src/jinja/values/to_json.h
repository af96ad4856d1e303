// Values as JSON, as Python's json.dumps writes them.

#ifndef GEMMA_SRC_JINJA_VALUES_TO_JSON_H_
#define GEMMA_SRC_JINJA_VALUES_TO_JSON_H_

#include "absl/status/status.h"
#include "src/jinja/values/marked_text.h"
#include "src/jinja/values/meter.h"
#include "src/jinja/values/value.h"

namespace gemma::internal {

// The arguments of json.dumps.
struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool has_indent = false;
  MarkedText indent;  // of one level
  MarkedText item_separator{", ", TextOrigin::kMessage};
  MarkedText key_separator{": ", TextOrigin::kMessage};
};

absl::Status AppendJson(const JinjaValue& value, const JsonStyle& style,
                        Meter& meter, MarkedText& text);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_JINJA_VALUES_TO_JSON_H_
