#include "tools/python/binding/arguments.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/python/binding/errors.h"
#include "tools/python/binding/text.h"

namespace gemma::python {
namespace nb = nanobind;

namespace {

// How a value appears in an error. Long ones are cut.
std::string Shown(nb::handle value) {
  constexpr size_t kMost = 100;
  std::string text =
      Utf8(nb::str(nb::repr(value)
                       .attr("encode")("ascii", "backslashreplace")
                       .attr("decode")("ascii")));
  if (text.size() > kMost) text = absl::StrCat(text.substr(0, kMost), "...");
  return text;
}

bool IsText(nb::handle value) { return PyUnicode_Check(value.ptr()) != 0; }

// Whether this is a number but not True or False.
bool IsWhole(nb::handle value) {
  return PyIndex_Check(value.ptr()) != 0 && PyBool_Check(value.ptr()) == 0;
}

// Converts a whole number of any class. Returns false if it does not fit.
template <typename T>
bool ToWhole(nb::handle value, T* whole) {
  const nb::object index = nb::steal(PyNumber_Index(value.ptr()));
  if (!index.is_valid()) {
    PyErr_Clear();
    return false;
  }
  return nb::try_cast<T>(index, *whole);
}

}  // namespace

void Refuse(std::string_view name, nb::handle value, std::string_view wanted) {
  throw StatusError(absl::InvalidArgumentError(
      absl::StrCat(name, " is ", Shown(value), ", wanted ", wanted)));
}

std::vector<int32_t> Tokens(std::string_view name, nb::handle values,
                            size_t first) {
  constexpr std::string_view kWanted = "a list of tokens, which are numbers";
  std::vector<int32_t> tokens;
  if (IsText(values) || PySequence_Check(values.ptr()) == 0) {
    Refuse(name, values, kWanted);
  }
  const nb::object list = nb::steal(PySequence_List(values.ptr()));
  if (!list.is_valid()) throw nb::python_error();
  tokens.reserve(nb::len(list));
  for (const nb::handle element : nb::list(list)) {
    int32_t token = 0;
    if (!IsWhole(element) || !ToWhole(element, &token)) {
      Refuse(absl::StrCat("token ", first + tokens.size(), " of ", name),
             element, "the number of a token");
    }
    tokens.push_back(token);
  }
  return tokens;
}

nb::object Arguments::Take(const char* name) {
  names_.insert(name);
  if (!values_.contains(name)) return {};
  nb::object value = values_[name];
  return value.is_none() ? nb::object() : value;
}

void Arguments::Read(const char* name, bool* value) {
  const nb::object given = Take(name);
  if (!given.is_valid()) return;
  if (PyBool_Check(given.ptr()) == 0) Refuse(name, given, "True or False");
  *value = given.is(nb::handle(Py_True));
}

void Arguments::Read(const char* name, uint64_t* value) {
  const nb::object given = Take(name);
  if (!given.is_valid()) return;
  if (!IsWhole(given) || !ToWhole(given, value)) {
    Refuse(name, given, "a whole number from 0 to 2**64 - 1");
  }
}

void Arguments::Read(const char* name, double* value) {
  const nb::object given = Take(name);
  if (!given.is_valid()) return;
  const bool is_number = !IsText(given) && PyBool_Check(given.ptr()) == 0 &&
                         PyNumber_Check(given.ptr()) != 0;
  const nb::object number =
      nb::steal(is_number ? PyNumber_Float(given.ptr()) : nullptr);
  if (!number.is_valid()) {
    PyErr_Clear();
    Refuse(name, given, "a number");
  }
  *value = PyFloat_AsDouble(number.ptr());
}

void Arguments::Read(const char* name, float* value) {
  double number = *value;
  Read(name, &number);
  *value = static_cast<float>(number);
}

void Arguments::Read(const char* name, std::string* value) {
  const nb::object given = Take(name);
  if (!given.is_valid()) return;
  if (!IsText(given)) Refuse(name, given, "a text");
  *value = Utf8(given);
}

void Arguments::Read(const char* name, std::vector<std::string>* values) {
  const nb::object given = Take(name);
  if (!given.is_valid()) return;
  values->clear();
  if (IsText(given)) {
    values->push_back(Utf8(given));
    return;
  }
  if (PySequence_Check(given.ptr()) == 0) {
    Refuse(name, given, "a list of texts");
  }
  for (const nb::handle element : given) {
    if (!IsText(element)) Refuse(name, given, "a list of texts");
    values->push_back(Utf8(element));
  }
}

void Arguments::Read(const char* name, std::vector<int32_t>* values) {
  const nb::object given = Take(name);
  if (given.is_valid()) *values = Tokens(name, given);
}

std::optional<size_t> Arguments::Choose(
    const char* name, absl::Span<const std::string_view> words) {
  const nb::object given = Take(name);
  if (!given.is_valid()) return std::nullopt;
  if (IsText(given)) {
    const std::string word = Utf8(given);
    size_t index = 0;
    for (const std::string_view wanted : words) {
      if (word == wanted) return index;
      ++index;
    }
  }
  Refuse(name, given, absl::StrJoin(words, ", "));
}

void Arguments::RefuseOthers() const {
  for (const auto [key, value] : values_) {
    const std::string name = Utf8(nb::str(key));
    if (names_.contains(name)) continue;
    throw StatusError(absl::InvalidArgumentError(
        absl::StrCat("no option has the name '", name, "'")));
  }
}

}  // namespace gemma::python
