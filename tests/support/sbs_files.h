// Files of gemma.cpp, written from the facts of their format (src/formats/sbs.h
// and src/model/sbs_tensors.cc) and nothing of the code that reads them.

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

// The letter of a type in front of a name, in old files.
char SbsLetter(SbsType type);

// Values as a file has them: divided by `scale`, then rounded to the type. NUQ
// has room for 16 values in a group of 256, and its tables may come first.
Bytes EncodeSbs(SbsType type, const std::vector<float>& values,
                float scale = 1.0f, bool tables_first = false);

// What is left of the values then, times `scale`. NUQ leaves five values of one
// call, so that a group of 256 may be of three.
std::vector<float> RoundToSbs(SbsType type, const std::vector<float>& values,
                              float scale = 1.0f);

// Words of a record; see src/formats/sbs_fields.h.
class SbsRecord {
 public:
  SbsRecord& Number(uint32_t value);
  SbsRecord& Float(float value);
  SbsRecord& Text(std::string_view text);
  SbsRecord& Record(const SbsRecord& record);
  // The record with its size in front.
  Bytes Finish() const;

 private:
  std::vector<uint32_t> words_;
};

// Writes a store of blobs.
class SbsWriter {
 public:
  SbsWriter& Blob(std::string_view key, Bytes data);
  // With the directory in front or, as since 2025, at the end.
  Bytes Finish(bool directory_at_end = false) const;

 private:
  std::vector<std::pair<std::string, Bytes>> blobs_;
};

// Writes a file of blobs that are all zeros and take no room on the disk.
void WriteSparseSbs(const std::string& path,
                    const std::vector<std::pair<std::string, uint64_t>>& blobs);

// How a model is written.
struct SbsForm {
  std::string name;              // for messages
  SbsType type = SbsType::kF32;  // of the matrices
  bool has_toc = true;           // else letters, and no configuration
  bool directory_at_end = false;
  bool split = false;         // qkv1_w, gating1_w, att_w, ...
  bool tables_first = false;  // of NUQ
  // Of the matrices that gemma.cpp scales; if not 1, times a power of two by
  // their kind.
  float scale = 1.0f;
  std::string tokenizer;  // none if empty
  uint32_t wrapping = 0;  // 0: tuned, 1: not
};

// A model's tensors, which have Hugging Face's names, with the values that a
// file of that form can have.
TinyTensors RoundedTensors(TinyTensors tensors, const SbsForm& form);

// The file of a model with such tensors.
Bytes SbsModel(const ModelConfig& config, const TinyTensors& tensors,
               const SbsForm& form);

// Whether a tensor's values are bfloat16 in a file of that form.
bool IsStoredAsBF16(const std::string& name, const SbsForm& form);

}  // namespace gemma

#endif  // GEMMA_TESTS_SUPPORT_SBS_FILES_H_
