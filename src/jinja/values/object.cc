#include "src/jinja/values/object.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "src/base/messages.h"

namespace gemma::internal {

std::optional<JinjaValue> CallArguments::TakeNamed(std::string_view name) {
  for (size_t i = 0; i < named.size(); ++i) {
    if (named[i].first != name) continue;
    JinjaValue value = std::move(named[i].second);
    named.erase(named.begin() + static_cast<std::ptrdiff_t>(i));
    return value;
  }
  return std::nullopt;
}

absl::Status CallArguments::Bind(std::string_view callee,
                                 absl::Span<const std::string_view> names,
                                 size_t required,
                                 absl::Span<JinjaValue> values) const {
  if (positional.size() > names.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(callee, "() has ", positional.size(),
                     " arguments, wanted at most ", names.size()));
  }
  std::copy(positional.begin(), positional.end(), values.begin());
  std::vector<bool> given(names.size());
  std::fill_n(given.begin(), positional.size(), true);
  for (const auto& [name, value] : named) {
    const size_t i =
        std::find(names.begin(), names.end(), name) - names.begin();
    if (i == names.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat(callee, "() does not know an argument ", Quoted(name)));
    }
    if (given[i]) {
      return absl::InvalidArgumentError(
          absl::StrCat(callee, "() has two arguments ", Quoted(name)));
    }
    given[i] = true;
    values[i] = value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!given[i]) {
      return absl::InvalidArgumentError(
          absl::StrCat(callee, "() needs an argument ", Quoted(names[i])));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<JinjaValue> JinjaObject::Call(Interpreter&,
                                             const CallArguments&) {
  return absl::InvalidArgumentError(
      absl::StrCat("the template calls a '", TypeName(), "'"));
}

absl::StatusOr<std::optional<JinjaValue>> JinjaObject::Attribute(
    Interpreter&, std::string_view) {
  return std::optional<JinjaValue>();
}

}  // namespace gemma::internal
