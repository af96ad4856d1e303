// The whole public C++ interface of libgemma.

#ifndef GEMMA_GEMMA_H_
#define GEMMA_GEMMA_H_

#include "gemma/adapter.h"
#include "gemma/answer_parser.h"
#include "gemma/chat_template.h"
#include "gemma/classifier.h"
#include "gemma/embedder.h"
#include "gemma/engine.h"
#include "gemma/engine_metrics.h"
#include "gemma/error_reason.h"
#include "gemma/export.h"
#include "gemma/feature_tap.h"
#include "gemma/fill_in_middle.h"
#include "gemma/generate.h"
#include "gemma/grammar.h"
#include "gemma/limits.h"
#include "gemma/memory_budget.h"
#include "gemma/model.h"
#include "gemma/model_config.h"
#include "gemma/quantize.h"
#include "gemma/sampler.h"
#include "gemma/score.h"
#include "gemma/serve.h"
#include "gemma/session.h"
#include "gemma/simd.h"
#include "gemma/sparse_autoencoder.h"
#include "gemma/taps.h"
#include "gemma/thread_pool.h"
#include "gemma/tokenizer.h"
#include "gemma/tool_calls.h"
#include "gemma/verify_file.h"
#include "gemma/version.h"
#include "gemma/weight_type.h"
#include "gemma/words.h"

// The whole library, except its C interface.
namespace gemma {}

#endif  // GEMMA_GEMMA_H_
