// Golden bytes of the file formats, and the values that the Python package
// `gguf` decodes from them.

#ifndef GEMMA_TESTS_COMPRESSION_GOLDEN_H_
#define GEMMA_TESTS_COMPRESSION_GOLDEN_H_

#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "compression/format.h"
#include "compression/weight_view.h"

namespace gemma::internal {

inline constexpr Format kAllFormats[] = {
#define GEMMA_FORMAT_ENTRY(name, ...) Format::name,
    GEMMA_FORMATS(GEMMA_FORMAT_ENTRY)
#undef GEMMA_FORMAT_ENTRY
};

// Returns the bytes of a file, or nothing if it cannot be read.
inline std::vector<uint8_t> ReadTestFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::vector<uint8_t>(std::istreambuf_iterator<char>(file), {});
}

// A matrix in a file format and its values. The bytes start at an odd address
// and end where the heap block ends, so that ASan detects a read beyond the
// end.
struct Golden {
  static constexpr size_t kRows = 8;
  static constexpr size_t kCols = 256;

  explicit Golden(Format f) : format(f) {
    // F32 needs no files: its bytes are its values.
    const std::string path = Path(f == Format::kF32 ? Format::kF16 : f);
    const std::vector<uint8_t> raw = ReadTestFile(path + ".f32");
    values.resize(raw.size() / sizeof(float));
    if (!values.empty()) {
      std::memcpy(values.data(), raw.data(), values.size() * sizeof(float));
    }
    bytes = f == Format::kF32 ? raw : ReadTestFile(path + ".bin");
    bytes.insert(bytes.begin(), 0);
    bytes.shrink_to_fit();
  }

  // Returns the path of the files, without .bin or .f32.
  static std::string Path(Format format) {
    std::string path = GEMMA_TESTDATA_DIR "/codecs/";
    for (char c : FormatName(format)) {
      path += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return path;
  }

  // Returns whether both files exist and have the right sizes.
  bool IsComplete() const {
    return bytes.size() == 1 + kRows * View().RowBytes() &&
           values.size() == kRows * kCols;
  }

  WeightView View() const {
    return {.format = format,
            .rows = kRows,
            .cols = kCols,
            .data = bytes.data() + 1};
  }

  // Returns a row of block `block` of row `row` alone, with that row's unit.
  std::vector<uint8_t> RowOfBlock(size_t row, size_t block) const {
    const size_t size = BlockBytes(format);
    const uint8_t* from = View().Row(row) + block * size;
    std::vector<uint8_t> out(from, from + size);
    const uint8_t* end = View().Row(row + 1);
    out.insert(out.end(), end - RowUnitBytes(format), end);
    return out;
  }

  Format format;
  std::vector<uint8_t> bytes;  // one byte, then the rows
  std::vector<float> values;   // [kRows, kCols]
};

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_COMPRESSION_GOLDEN_H_
