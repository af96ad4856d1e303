// The keys of a GGUF file that describe its model.

#ifndef GEMMA_SRC_MODEL_CONFIG_GGUF_KEYS_H_
#define GEMMA_SRC_MODEL_CONFIG_GGUF_KEYS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "src/formats/checkpoint.h"
#include "src/formats/gguf_metadata.h"
#include "src/model/config/read_config.h"
#include "src/model/tensors/weight_table.h"

namespace gemma::internal {

// Reads "<architecture>.<key>".
class KeyReader {
 public:
  KeyReader(const GgufMetadata& metadata, std::string architecture)
      : metadata_(metadata), architecture_(std::move(architecture)) {}

  template <class T>
  absl::Status Read(std::string_view key, T& value) const {
    return metadata_.Read(Name(key), value);
  }
  template <class T>
  absl::Status ReadRequired(std::string_view key, T& value) const {
    return metadata_.ReadRequired(Name(key), value);
  }
  bool Has(std::string_view key) const { return metadata_.Has(Name(key)); }
  bool IsArray(std::string_view key) const {
    return metadata_.IsArray(Name(key));
  }
  // Whether the value, or an array's elements, are bools.
  bool IsBool(std::string_view key) const {
    return metadata_.TypeOf(Name(key)) == GgufType::kBool;
  }
  std::string Name(std::string_view key) const {
    return GgufKey(architecture_, key);
  }
  // "file: key <key>", for messages.
  std::string Where(std::string_view key) const {
    return absl::StrCat(path(), ": key '", Name(key), "'");
  }
  const std::string& path() const { return metadata_.path(); }
  const GgufMetadata& metadata() const { return metadata_; }

 private:
  const GgufMetadata& metadata_;
  std::string architecture_;
};

// Returns the tensor of a GGUF file that holds the weight, or null.
const Tensor* FindGgufTensor(const Checkpoint& checkpoint, WeightRole role,
                             size_t layer = 0);

// Sets what models that embed texts have in common: attention in both
// directions, whose window is divided between the sides, and the mean of the
// states. Fails if the file states another pooling.
absl::Status ReadMeanPooling(const KeyReader& keys, ConfigDraft& c);

// Refuses keys with a value that would change what the model computes, and that
// the engine does not compute. Adds notes for the keys that llama.cpp ignores
// in this architecture, and for keys that nothing here reads. The sizes of `c`
// need not be set.
absl::Status CheckOtherKeys(const KeyReader& keys, ConfigDraft& c);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_MODEL_CONFIG_GGUF_KEYS_H_
