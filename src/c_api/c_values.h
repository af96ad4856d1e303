// What the C functions share: the objects behind their pointers, and checks of
// arguments.

#ifndef GEMMA_SRC_C_API_C_VALUES_H_
#define GEMMA_SRC_C_API_C_VALUES_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gemma/answer_parser.h"
#include "gemma/c_api.h"
#include "gemma/chat_template.h"
#include "gemma/model.h"
#include "gemma/session.h"
#include "gemma/tokenizer.h"
#include "gemma/version.h"

struct gemma_model {
  gemma::Model model;
};

struct gemma_session {
  gemma::Session session;
};

struct gemma_answer {
  gemma::Tokenizer tokenizer;
  gemma::ParsedAnswer parts;
};

namespace gemma::internal {

inline absl::Status NullError(std::string_view name) {
  return absl::InvalidArgumentError(absl::StrCat(name, " is null"));
}

#define GEMMA_C_REQUIRE(pointer) \
  if ((pointer) == nullptr) return gemma::internal::NullError(#pointer)

// Writes tokens or text as gemma/c_api.h specifies.
template <class From, class To>
absl::Status Write(const From& from, To* to, size_t capacity, size_t* size) {
  *size = from.size();
  if (from.size() > capacity) {
    return absl::OutOfRangeError(
        absl::StrCat("there is room for ", capacity, ", wanted ", from.size()));
  }
  if (from.empty()) return absl::OkStatus();
  if (to == nullptr) return NullError("the buffer");
  std::copy(from.begin(), from.end(), to);
  return absl::OkStatus();
}

// Returns an enumeration's number. The caller may have set any number.
template <class Enum>
unsigned NumberOf(const Enum& value) {
  unsigned number;
  static_assert(sizeof(number) == sizeof(value));
  std::memcpy(&number, &value, sizeof(number));
  return number;
}

// Copies the fields that both versions of the struct have from the caller's
// struct to `into`, which holds defaults. Fields of a newer header must be
// zero.
template <class Options>
absl::Status ReadSized(const Options* from, const char* name, Options& into) {
  if (from == nullptr) return absl::OkStatus();
  const size_t size = from->struct_size;
  if (size < sizeof(size_t)) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ".struct_size is ", size, ", wanted ",
                     sizeof(Options), ": call ", name, "_init"));
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(from);
  for (size_t i = sizeof(Options); i < size; ++i) {
    if (bytes[i] == 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        name, " sets a field that version ", GEMMA_VERSION_STRING, " lacks"));
  }
  std::memcpy(&into, from, std::min(size, sizeof(Options)));
  return absl::OkStatus();
}

// `name` begins the message.
inline absl::StatusOr<Role> ReadRole(const gemma_role& from,
                                     std::string_view name) {
  constexpr Role kRoles[] = {Role::kSystem, Role::kUser, Role::kModel,
                             Role::kTool, Role::kDeveloper};
  const unsigned role = NumberOf(from);
  if (role < std::size(kRoles)) return kRoles[role];
  return absl::InvalidArgumentError(
      absl::StrCat(name, " is ", role, ", wanted 0 to 4"));
}

}  // namespace gemma::internal

#endif  // GEMMA_SRC_C_API_C_VALUES_H_
