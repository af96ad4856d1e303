// The smallest models of each architecture, built in memory, for tests that
// break them. Their logits mean nothing.

#ifndef GEMMA_TESTS_SUPPORT_HOSTILE_MODEL_H_
#define GEMMA_TESTS_SUPPORT_HOSTILE_MODEL_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gemma/gemma.h"
#include "nlohmann/json.hpp"
#include "tests/support/tiny_files.h"

namespace gemma::internal {

// All models are 8 wide, with 2 layers, 2 heads of 4 values, 1 key/value head,
// a feed-forward layer of 6, a window of 2 and 8 tokens.
inline constexpr const char* kModelTypes[] = {"gemma", "gemma2", "gemma3_text",
                                              "recurrent_gemma"};
inline constexpr const char* kArchitectures[] = {"gemma", "gemma2", "gemma3",
                                                 "recurrentgemma"};

// A tensor in float32.
struct TinyTensor {
  std::string name;
  std::vector<uint64_t> shape;  // outermost first
  std::vector<float> values;

  Bytes bytes() const;
};
using TinyTensors = std::vector<TinyTensor>;

// Returns a tensor of distinct small values.
TinyTensor MakeTensor(std::string name, std::vector<uint64_t> shape);

// Appends such tensors, with the prefix before each name.
struct NamedShape {
  const char* name;
  std::vector<uint64_t> shape;
};
void AddAll(std::string_view prefix, const std::vector<NamedShape>& shapes,
            TinyTensors& out);

// Returns the tensor with this name, which must exist.
TinyTensor& Find(TinyTensors& tensors, const std::string& name);

// These return everything that a Hugging Face model needs. They also know the
// type vaultgemma.
nlohmann::json TinyConfig(const std::string& model_type);
TinyTensors TinyHfTensors(const std::string& model_type);
// Creates the directory if it does not exist.
void WriteTinyDirectory(const std::string& directory,
                        const nlohmann::json& config,
                        const TinyTensors& tensors);

// These return everything that a GGUF model needs, without a tokenizer.
GgufWriter TinyGgufKeys(const std::string& architecture);
TinyTensors TinyGgufTensors(const std::string& architecture);
Bytes TinyGgufModel(const std::string& architecture);
void AddTensors(const TinyTensors& tensors, GgufWriter& gguf);

// Adds a vocabulary: <pad>, <eos>, <bos> and <unk>, the 256 bytes from
// kFirstByte on, and `pieces` from kFirstPiece on. Those that begin with "<|"
// or end with "|>", and the marks of FunctionGemma, are control tokens. Without
// `add_space_prefix`, the file does not have this key, as files from before
// July 2024.
inline constexpr TokenId kFirstByte = 4;
inline constexpr TokenId kFirstPiece = 260;
void AddTokenizer(const std::vector<std::string>& pieces, GgufWriter& gguf,
                  std::optional<bool> add_space_prefix = false);

// Returns a model with that vocabulary. It predicts, with near certainty, the
// token to which `next` maps the last token, or <eos> if `next` has no entry.
Bytes ScriptedModel(const std::vector<std::string>& pieces,
                    const std::map<TokenId, TokenId>& next);

// Returns such a model with Gemma 4's control tokens. After a turn it thinks
// "Hm." and calls the tool `now`; after a result it answers "Noon.".
Bytes ToolCallingModel();

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_HOSTILE_MODEL_H_
