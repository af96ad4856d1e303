// Options that Python passes as a dictionary.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_ARGUMENTS_H_
#define GEMMA_TOOLS_PYTHON_BINDING_ARGUMENTS_H_

#include <nanobind/nanobind.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"

namespace gemma::python {

// Reads each option once, by its name. An option that is missing or None leaves
// the value as it is. InvalidArgument, which names the option, what was found
// and what was wanted, if the value has another type. Use it with the GIL.
class Arguments {
 public:
  explicit Arguments(nanobind::dict values) : values_(std::move(values)) {}

  void Read(const char* name, bool* value);
  // A whole number from 0 on.
  void Read(const char* name, uint64_t* value);
  void Read(const char* name, float* value);
  void Read(const char* name, double* value);
  void Read(const char* name, std::string* value);
  // A list of texts, or one text.
  void Read(const char* name, std::vector<std::string>* values);
  // A list of tokens.
  void Read(const char* name, std::vector<int32_t>* values);

  // Returns the index of the value in `words`, or no value if it is missing.
  std::optional<size_t> Choose(const char* name,
                               absl::Span<const std::string_view> words);

  // Returns the value as it is; null if it is missing or None.
  nanobind::object Take(const char* name);

  // InvalidArgument if an option is left that nobody read.
  void RefuseOthers() const;

 private:
  nanobind::dict values_;
  std::set<std::string> names_;  // that were read
};

// Throws InvalidArgument: "NAME is VALUE, wanted WANTED".
[[noreturn]] void Refuse(std::string_view name, nanobind::handle value,
                         std::string_view wanted);

// Converts a list of whole numbers, or an array of one axis; `name` names it.
// Messages count its elements from `first`.
std::vector<int32_t> Tokens(std::string_view name, nanobind::handle values,
                            size_t first = 0);

}  // namespace gemma::python

#endif  // GEMMA_TOOLS_PYTHON_BINDING_ARGUMENTS_H_
