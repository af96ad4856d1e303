// InputRows: libgemma.InputRows.

#include "tools/python/binding/words.h"

#include <nanobind/nanobind.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tools/python/binding/arguments.h"
#include "tools/python/binding/arrays.h"
#include "tools/python/binding/errors.h"
#include "tools/python/binding/gil.h"
#include "tools/python/binding/module.h"

namespace gemma::python {
namespace {

InputRows* NewRows(const MatrixArgument& values, bool bidirectional) {
  std::vector<float> copy(values.data(), values.data() + values.size());
  const size_t width = values.shape(1);
  if (copy.empty()) {
    throw StatusError(absl::InvalidArgumentError(
        absl::StrCat("values is [", values.shape(0), ", ", width,
                     "], wanted at least one row and one column")));
  }
  const WithoutGil release;
  return new InputRows(ValueOrThrow(InputRows::Create(
      std::move(copy), width,
      bidirectional ? RowMask::kBidirectional : RowMask::kCausal)));
}

}  // namespace

Words ReadWords(std::string_view name, nb::handle values) {
  Words words;
  bool has_rows = false;
  if (nb::isinstance<nb::list>(values) || nb::isinstance<nb::tuple>(values)) {
    for (const nb::handle value : values) {
      has_rows = has_rows || nb::isinstance<InputRows>(value);
    }
  }
  if (!has_rows) return Words(Tokens(name, values));
  nb::list tokens;
  size_t first = 0;  // index of the element that tokens begin with
  for (const nb::handle value : values) {
    const InputRows* rows = nullptr;
    if (!nb::try_cast(value, rows) || rows == nullptr) {
      tokens.append(value);
      continue;
    }
    words.Append(Tokens(name, tokens, first));
    words.Append(*rows);
    first += nb::len(tokens) + 1;
    tokens = nb::list();
  }
  words.Append(Tokens(name, tokens, first));
  return words;
}

void AddWords(nb::module_& m) {
  nb::class_<InputRows>(
      m, "InputRows",
      "Rows that a model reads in place of embeddings, such as an image.\n\n"
      "Put it among the tokens of a prompt, or of what a Session appends: a "
      "list such as\n[2, rows, 107]. Each row replaces the embedding of a "
      "token, "
      "after scaling.")
      .def(
          nb::new_(&NewRows), nb::arg("values"), nb::kw_only(),
          nb::arg("bidirectional") = false,
          "values: float32 [rows, model_dim], which are copied. "
          "bidirectional: each row\nattends to all of these rows, and not only "
          "to those before it.")
      .def("__len__", &InputRows::size)
      .def_prop_ro("model_dim", &InputRows::model_dim,
                   "The number of values in a row.");
}

}  // namespace gemma::python
