#include "src/grammar/schema_keywords.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "absl/strings/match.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"

namespace gemma::internal {
namespace {

// The effect of a keyword on the values of its place.
enum class Role {
  kOther,  // describes, or refers to or combines places
  kValue,  // restricts the types or lists the values
  kShape,  // restricts the values in other ways
};

struct Keyword {
  std::string_view name;
  Role role;
};
constexpr Keyword kKeywords[] = {
    {"$comment", Role::kOther},
    {"$defs", Role::kOther},
    {"$id", Role::kOther},
    {"$ref", Role::kOther},
    {"$schema", Role::kOther},
    {"additionalProperties", Role::kShape},
    {"allOf", Role::kOther},
    {"anyOf", Role::kOther},
    {"const", Role::kValue},
    {"contentEncoding", Role::kOther},
    {"contentMediaType", Role::kOther},
    {"contentSchema", Role::kOther},
    {"default", Role::kOther},
    {"definitions", Role::kOther},
    {"deprecated", Role::kOther},
    {"description", Role::kOther},
    {"discriminator", Role::kOther},
    {"enum", Role::kValue},
    {"example", Role::kOther},
    {"examples", Role::kOther},
    {"exclusiveMaximum", Role::kShape},
    {"exclusiveMinimum", Role::kShape},
    {"format", Role::kShape},
    {"items", Role::kShape},
    {"maxItems", Role::kShape},
    {"maxLength", Role::kShape},
    {"maxProperties", Role::kShape},
    {"maximum", Role::kShape},
    {"minItems", Role::kShape},
    {"minLength", Role::kShape},
    {"minProperties", Role::kShape},
    {"minimum", Role::kShape},
    {"multipleOf", Role::kShape},
    {"oneOf", Role::kOther},
    {"pattern", Role::kShape},
    {"prefixItems", Role::kShape},
    {"properties", Role::kShape},
    {"readOnly", Role::kOther},
    {"required", Role::kShape},
    {"title", Role::kOther},
    {"type", Role::kValue},
    {"uniqueItems", Role::kShape},
    {"writeOnly", Role::kOther},
};

// Returns null for an unknown keyword.
const Keyword* FindKeyword(std::string_view name) {
  const auto found = std::lower_bound(
      std::begin(kKeywords), std::end(kKeywords), name,
      [](const Keyword& k, std::string_view n) { return k.name < n; });
  return found != std::end(kKeywords) && found->name == name ? found : nullptr;
}

// No text is long enough for larger counts.
constexpr uint32_t kMaxLength = uint32_t{1} << 30;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// An integer limit, rounded and clamped to the range of int64_t. `up`: round
// up.
int64_t Rounded(const Json& json, bool up) {
  int64_t integer = 0;
  if (json.Get(integer).ok()) return integer;
  double number = 0;
  json.Get(number).IgnoreError();
  number = up ? std::ceil(number) : std::floor(number);
  if (number >= 0x1p63) return std::numeric_limits<int64_t>::max();
  if (number < -0x1p63) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(number);
}

bool IsInteger(const Json& json) {
  double number = 0;
  return json.Get(number).ok() && number == std::floor(number);
}

}  // namespace

absl::Status CheckKeywords(const Json& place) {
  for (const auto& [name, value] : place.Members()) {
    if (absl::StartsWith(name, "x-")) continue;
    if (FindKeyword(name) == nullptr) {
      return SchemaError(value, "this keyword is not supported");
    }
    if (name == "$id" && place.id() != 0) {
      return SchemaError(value,
                         "a schema within the schema that has an $id "
                         "of its own is not supported");
    }
    double number = 0;
    if (name == "multipleOf" && (!value.Get(number).ok() || number != 1)) {
      return SchemaError(value, "only multiples of 1 are supported");
    }
  }
  return absl::OkStatus();
}

bool HasAssertion(const Json& place) {
  for (const auto& [name, value] : place.Members()) {
    const Keyword* keyword = FindKeyword(name);
    if (keyword != nullptr && keyword->role != Role::kOther) return true;
  }
  return false;
}

std::optional<Json> ShapeKeyword(const Json& place) {
  for (const auto& [name, value] : place.Members()) {
    const Keyword* keyword = FindKeyword(name);
    if (keyword != nullptr && keyword->role == Role::kShape) return value;
  }
  return std::nullopt;
}

absl::StatusOr<CountRange> CountsOf(const SchemaParts& parts,
                                    std::string_view least_name,
                                    std::string_view most_name) {
  constexpr std::string_view kWanted = "a number of 0 or more";
  CountRange range;
  for (const Json& part : parts) {
    GEMMA_ASSIGN_OR_RETURN(const auto least,
                           ReadKeyword<size_t>(part, least_name, kWanted));
    GEMMA_ASSIGN_OR_RETURN(const auto most,
                           ReadKeyword<size_t>(part, most_name, kWanted));
    if (least.has_value()) {
      if (*least > kMaxLength) {
        return MemberError(part, least_name,
                           FormatText("wanted at most %u", kMaxLength));
      }
      range.least = std::max(range.least, static_cast<uint32_t>(*least));
    }
    if (most.has_value()) {
      range.most = static_cast<uint32_t>(
          std::min({size_t{range.most}, *most, size_t{kMaxLength}}));
    }
  }
  return range;
}

absl::StatusOr<NumberRange> NumberRangeOf(const SchemaParts& parts) {
  NumberRange range = {-kInfinity, kInfinity};
  for (const Json& part : parts) {
    for (const bool excluded : {false, true}) {
      for (const bool is_least : {true, false}) {
        const std::string_view name =
            is_least ? (excluded ? "exclusiveMinimum" : "minimum")
                     : (excluded ? "exclusiveMaximum" : "maximum");
        GEMMA_ASSIGN_OR_RETURN(const auto limit,
                               ReadKeyword<double>(part, name, "a number"));
        if (!limit.has_value()) continue;
        if (is_least &&
            (*limit > range.least || (*limit == range.least && excluded))) {
          range.least = *limit;
          range.without_least = excluded;
        }
        if (!is_least &&
            (*limit < range.most || (*limit == range.most && excluded))) {
          range.most = *limit;
          range.without_most = excluded;
        }
      }
    }
  }
  return range;
}

absl::StatusOr<IntegerRange> IntegerRangeOf(const SchemaParts& parts) {
  constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
  constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();
  GEMMA_ASSIGN_OR_RETURN(const NumberRange numbers, NumberRangeOf(parts));
  if (numbers.least >= 0x1p63 || numbers.most < -0x1p63) {
    return IntegerRange{kHighest, kLowest};
  }
  IntegerRange range = {kLowest, kHighest};
  for (const Json& part : parts) {
    if (const auto json = part.Find("minimum")) {
      range.least = std::max(range.least, Rounded(*json, true));
    }
    if (const auto json = part.Find("maximum")) {
      range.most = std::min(range.most, Rounded(*json, false));
    }
    if (const auto json = part.Find("exclusiveMinimum")) {
      const int64_t limit = Rounded(*json, true);
      const bool next = IsInteger(*json) && limit < kHighest;
      range.least = std::max(range.least, limit + (next ? 1 : 0));
    }
    if (const auto json = part.Find("exclusiveMaximum")) {
      const int64_t limit = Rounded(*json, false);
      const bool next = IsInteger(*json) && limit > kLowest;
      range.most = std::min(range.most, limit - (next ? 1 : 0));
    }
  }
  return range;
}

bool HasKeyword(const SchemaParts& parts, std::string_view name) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](const Json& part) { return part.Has(name); });
}

}  // namespace gemma::internal
