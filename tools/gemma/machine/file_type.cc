#include "tools/gemma/machine/file_type.h"

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "src/base/internal.h"
#include "src/formats/gguf.h"
#include "src/os/mapped_file.h"
#include "tools/gemma/machine/summary.h"

namespace gemma::tools {
namespace {

constexpr std::string_view kFileType = "general.file_type";

struct NamedType {
  uint32_t number;
  std::string_view name;
};

// The numbers of general.file_type: llama.cpp's llama_ftype.
constexpr NamedType kTypes[] = {
    {0, "F32"},      {1, "F16"},     {2, "Q4_0"},    {3, "Q4_1"},
    {7, "Q8_0"},     {8, "Q5_0"},    {9, "Q5_1"},    {10, "Q2_K"},
    {11, "Q3_K_S"},  {12, "Q3_K_M"}, {13, "Q3_K_L"}, {14, "Q4_K_S"},
    {15, "Q4_K_M"},  {16, "Q5_K_S"}, {17, "Q5_K_M"}, {18, "Q6_K"},
    {19, "IQ2_XXS"}, {20, "IQ2_XS"}, {21, "Q2_K_S"}, {22, "IQ3_XS"},
    {23, "IQ3_XXS"}, {24, "IQ1_S"},  {25, "IQ4_NL"}, {26, "IQ3_S"},
    {27, "IQ3_M"},   {28, "IQ2_S"},  {29, "IQ2_M"},  {30, "IQ4_XS"},
    {31, "IQ1_M"},   {32, "BF16"},   {36, "TQ1_0"},  {37, "TQ2_0"},
    {38, "MXFP4"},   {39, "NVFP4"}};

// The type that a GGUF file states, or "".
std::string_view StatedType(const std::string& path) {
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  if (!file.ok() || !file->text().starts_with("GGUF")) return "";
  const absl::StatusOr<GgufFile> gguf = ParseGguf(file->bytes(), path);
  uint32_t number = UINT32_MAX;
  if (!gguf.ok() || !gguf->metadata.Read(kFileType, number).ok()) return "";
  for (const NamedType& type : kTypes) {
    if (type.number == number) return type.name;
  }
  return "";
}

}  // namespace

std::string FileType(const std::string& path, const Model& model) {
  const std::string stated(StatedType(path));
  return stated.empty() ? Summarize(model.tensors()).main_type : stated;
}

}  // namespace gemma::tools
