// Texts between Python and C++.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_TEXT_H_
#define GEMMA_TOOLS_PYTHON_BINDING_TEXT_H_

#include <nanobind/nanobind.h>

#include <string>
#include <string_view>

namespace gemma::python {

// Returns a str. Bytes that are not UTF-8 become U+FFFD.
inline nanobind::object Text(std::string_view text) {
  PyObject* made = PyUnicode_DecodeUTF8(
      text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
  if (made == nullptr) throw nanobind::python_error();
  return nanobind::steal(made);
}

// Returns the UTF-8 of a str. Throws Python's UnicodeEncodeError for a lone
// surrogate.
inline std::string Utf8(nanobind::handle text) {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (data == nullptr) throw nanobind::python_error();
  return std::string(data, static_cast<size_t>(size));
}

}  // namespace gemma::python

#endif  // GEMMA_TOOLS_PYTHON_BINDING_TEXT_H_
