// Python's Model.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_MODEL_H_
#define GEMMA_TOOLS_PYTHON_BINDING_MODEL_H_

#include <cstddef>
#include <utility>

#include "gemma/model.h"
#include "tools/python/binding/bound.h"

namespace gemma::python {

// The class libgemma._core.Model.
class BoundModel : public Bound<Model> {
 public:
  BoundModel(Model model, size_t prefill_chunk)
      : Bound<Model>("the model", std::move(model)),
        prefill_chunk_(prefill_chunk) {}

  // Returns LoadOptions::prefill_chunk.
  size_t prefill_chunk() const { return prefill_chunk_; }

 private:
  size_t prefill_chunk_;
};

}  // namespace gemma::python

#endif  // GEMMA_TOOLS_PYTHON_BINDING_MODEL_H_
