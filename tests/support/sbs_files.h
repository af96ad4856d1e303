// Files of gemma.cpp, written from the description of their format
// (src/formats/sbs.h and src/model/sbs_tensors.cc), without any code that reads
// them.

#ifndef GEMMA_TESTS_SUPPORT_SBS_FILES_H_
#define GEMMA_TESTS_SUPPORT_SBS_FILES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gemma/model_config.h"
#include "tests/support/hostile_model.h"
#include "tests/support/tiny_files.h"

namespace gemma {

// gemma.cpp's numbers.
enum class SbsType : uint32_t { kF32 = 1, kBF16 = 2, kSfp = 3, kNuq = 4 };

// Returns the letter of a type, which precedes names in old files.
char SbsLetter(SbsType type);

// Returns values as a file stores them: divided by `scale`, then rounded to the
// type. NUQ has room for 16 values in a group of 256, and its tables may come
// first.
Bytes EncodeSbs(SbsType type, const std::vector<float>& values,
                float scale = 1.0f, bool tables_first = false);

// Returns the values that such a file gives back, times `scale`. NUQ leaves
// five values per call, so that a group of 256 may have three.
std::vector<float> RoundToSbs(SbsType type, const std::vector<float>& values,
                              float scale = 1.0f);

// Writes the words of a record; see src/formats/sbs_fields.h.
class SbsRecord {
 public:
  SbsRecord& Number(uint32_t value);
  SbsRecord& Float(float value);
  SbsRecord& Text(std::string_view text);
  SbsRecord& Record(const SbsRecord& record);
  // Returns the record, preceded by its size.
  Bytes Finish() const;

 private:
  std::vector<uint32_t> words_;
};

// Writes a store of blobs.
class SbsWriter {
 public:
  SbsWriter& Blob(std::string_view key, Bytes data);
  // Returns the file, with the directory first or, as since 2025, at the end.
  Bytes Finish(bool directory_at_end = false) const;

 private:
  std::vector<std::pair<std::string, Bytes>> blobs_;
};

// Writes a file of zeroed blobs that take no space on the disk.
void WriteSparseSbs(const std::string& path,
                    const std::vector<std::pair<std::string, uint64_t>>& blobs);

// The form in which a model is written.
struct SbsForm {
  std::string name;              // for messages
  SbsType type = SbsType::kF32;  // of the matrices
  bool has_toc = true;           // else letters, without a configuration
  bool directory_at_end = false;
  bool split = false;         // qkv1_w, gating1_w, att_w, ...
  bool tables_first = false;  // of NUQ
  // The scale of the matrices that gemma.cpp scales. If not 1, it is multiplied
  // by a power of two for each kind of matrix.
  float scale = 1.0f;
  std::string tokenizer;  // none if empty
  uint32_t wrapping = 0;  // 0: tuned, 1: not
};

// Returns a model's tensors, with Hugging Face's names, rounded to values that
// a file of this form can hold.
TinyTensors RoundedTensors(TinyTensors tensors, const SbsForm& form);

// Returns the file of a model with such tensors.
Bytes SbsModel(const ModelConfig& config, const TinyTensors& tensors,
               const SbsForm& form);

// Returns whether a file of this form stores a tensor's values as bfloat16.
bool IsStoredAsBF16(const std::string& name, const SbsForm& form);

}  // namespace gemma

#endif  // GEMMA_TESTS_SUPPORT_SBS_FILES_H_
