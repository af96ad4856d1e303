// Writes files of gemma.cpp. The code follows the description of the format in
// src/formats/sbs.h and src/model/tensors/sbs_tensors.cc, and shares no code
// with the reader.

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

namespace gemma::internal {

// The types of weights, with gemma.cpp's numbers.
enum class SbsType : uint32_t { kF32 = 1, kBF16 = 2, kSfp = 3, kNuq = 4 };

// Returns the letter of a type, which precedes names in old files.
char SbsLetter(SbsType type);

// Returns values as a file stores them: divided by `scale`, then rounded to the
// type. With NUQ, a group of 256 may have only 16 different values;
// `tables_first` stores all tables before the codes.
Bytes EncodeSbs(SbsType type, const std::vector<float>& values,
                float scale = 1.0f, bool tables_first = false);

// Returns the values that a reader gets from such a file, times `scale`. With
// NUQ, all values of a call become one of five values, so that a group of 256
// may have as few as three different ones.
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
  // Returns the file. The directory is at the beginning, or at the end, as in
  // files since 2025.
  Bytes Finish(bool directory_at_end = false) const;

 private:
  std::vector<std::pair<std::string, Bytes>> blobs_;
};

// Writes a file of zeroed blobs that take no space on the disk.
void WriteSparseSbs(const std::string& path,
                    const std::vector<std::pair<std::string, uint64_t>>& blobs);

// Describes how a model is written.
struct SbsForm {
  std::string name;              // for messages
  SbsType type = SbsType::kF32;  // of the matrices
  bool has_toc = true;           // false: letters, and no configuration
  bool directory_at_end = false;
  bool split = false;         // into qkv1_w, gating1_w, att_w, ...
  bool tables_first = false;  // for NUQ
  // The scale of the matrices that gemma.cpp scales. A scale other than 1 is
  // also multiplied by a power of two that depends on the kind of matrix.
  float scale = 1.0f;
  std::string tokenizer;  // none if empty
  uint32_t wrapping = 0;  // 0: tuned, 1: not
};

// Returns a model's tensors, which have Hugging Face's names, rounded to values
// that a file of this form can hold.
TinyTensors RoundedTensors(TinyTensors tensors, const SbsForm& form);

// Returns the file of a model with tensors that RoundedTensors returned.
Bytes SbsModel(const ModelConfig& config, const TinyTensors& tensors,
               const SbsForm& form);

// Returns whether a file of this form stores a tensor's values as bfloat16.
bool IsStoredAsBF16(const std::string& name, const SbsForm& form);

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_SBS_FILES_H_
