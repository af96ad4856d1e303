// Reads which steps choose a token, in the names of llama-server.

#ifndef GEMMA_SRC_SERVE_REQUEST_SAMPLERS_H_
#define GEMMA_SRC_SERVE_REQUEST_SAMPLERS_H_

#include "absl/status/status.h"
#include "gemma/generate.h"
#include "src/serve/request/fields.h"

namespace gemma::internal {

// Reads the field samplers: the steps that choose a token, in order. Call this
// after the fields of the steps were read: steps that the list does not name
// are turned off. Steps that llama-server has and this server does not have are
// accepted, because they do nothing without fields of their own, which are
// refused. Fails if the order would change the answer and is not that of
// Sampler.
absl::Status ReadSamplers(Fields& fields, GenerateOptions& options);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_SERVE_REQUEST_SAMPLERS_H_
