#include "src/grammar/json_formats.h"

#include <algorithm>
#include <iterator>

namespace gemma::internal {
namespace {

// RFC 3339, from the year 1000 on. Leaves out February 29 and second 60,
// because they are valid only in some years and minutes.
#define GEMMA_DATE                                            \
  "[1-9][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|" \
  "(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
#define GEMMA_TIME                                           \
  "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?" \
  "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define GEMMA_COUNT "[0-9]{1,4}"
#define GEMMA_MINUTES GEMMA_COUNT "M(" GEMMA_COUNT "S)?"
#define GEMMA_PERIOD \
  "(" GEMMA_COUNT "H(" GEMMA_MINUTES ")?|" GEMMA_MINUTES "|" GEMMA_COUNT "S)"
#define GEMMA_MONTHS GEMMA_COUNT "M(" GEMMA_COUNT "D)?"
// RFC 1123 allows labels of 63 characters. This allows 32, and six labels.
#define GEMMA_LABEL "[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?"
#define GEMMA_HOST GEMMA_LABEL "(\\." GEMMA_LABEL "){0,5}"
#define GEMMA_BYTE "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define GEMMA_HEX4 "[0-9a-fA-F]{4}"

struct Format {
  std::string_view name;
  std::string_view expression;
};

constexpr Format kFormats[] = {
    {"date", GEMMA_DATE},
    {"time", GEMMA_TIME},
    {"date-time", GEMMA_DATE "T" GEMMA_TIME},
    // ISO 8601, in the form of RFC 3339.
    {"duration",
     "P(" GEMMA_COUNT "W|T" GEMMA_PERIOD "|(" GEMMA_COUNT "D|" GEMMA_MONTHS
     "|" GEMMA_COUNT "Y(" GEMMA_MONTHS ")?)(T" GEMMA_PERIOD ")?)"},
    {"email",
     "[A-Za-z0-9_%+-]{1,32}(\\.[A-Za-z0-9_%+-]{1,16}){0,3}@" GEMMA_HOST},
    {"hostname", GEMMA_HOST},
    {"ipv4", GEMMA_BYTE "(\\." GEMMA_BYTE "){3}"},
    // All eight groups, without "::".
    {"ipv6", "[0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4}){7}"},
    // RFC 3986: a scheme and a host, then optional path, query and fragment.
    {"uri",
     "[a-z][a-z0-9+.-]{0,15}://" GEMMA_HOST
     "(:[1-9][0-9]{0,3})?(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})*)*"
     "(\\?([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-F]{2})*)?"
     "(#([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-F]{2})*)?"},
    {"uuid", GEMMA_HEX4 GEMMA_HEX4 "-" GEMMA_HEX4 "-" GEMMA_HEX4 "-" GEMMA_HEX4
                                   "-" GEMMA_HEX4 GEMMA_HEX4 GEMMA_HEX4},
};

}  // namespace

std::optional<std::string_view> FormatExpression(std::string_view format) {
  const auto found =
      std::find_if(std::begin(kFormats), std::end(kFormats),
                   [&](const Format& f) { return f.name == format; });
  if (found == std::end(kFormats)) return std::nullopt;
  return found->expression;
}

}  // namespace gemma::internal
