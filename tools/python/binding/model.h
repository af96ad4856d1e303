// Python's Model.

#ifndef GEMMA_TOOLS_PYTHON_BINDING_MODEL_H_
#define GEMMA_TOOLS_PYTHON_BINDING_MODEL_H_

#include <cstddef>
#include <utility>

#include "gemma/model.h"
#include "tools/python/binding/bound.h"
#include "tools/python/binding/memory.h"

namespace gemma::python {

// The class libgemma._core.Model.
class BoundModel : public Bound<Model> {
 public:
  BoundModel(Model model, size_t prefill_chunk, MemoryLeft left)
      : Bound<Model>("the model", std::move(model)),
        prefill_chunk_(prefill_chunk),
        left_(std::move(left)) {}

  // Returns LoadOptions::prefill_chunk.
  size_t prefill_chunk() const { return prefill_chunk_; }

  // Returns the memory that was left when the model was loaded.
  const MemoryLeft& left() const { return left_; }

 private:
  size_t prefill_chunk_;
  MemoryLeft left_;
};

}  // namespace gemma::python

#endif  // GEMMA_TOOLS_PYTHON_BINDING_MODEL_H_
