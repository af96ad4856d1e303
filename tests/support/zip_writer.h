// Makes .npz archives for the tests of their reader.

#ifndef GEMMA_TESTS_SUPPORT_ZIP_WRITER_H_
#define GEMMA_TESTS_SUPPORT_ZIP_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace gemma::internal {

enum class Packing { kStored, kDeflated };

inline void PrintTo(Packing packing, std::ostream* out) {
  *out << (packing == Packing::kStored ? "stored" : "deflated");
}

class ZipWriter {
 public:
  // The fields that tests may falsify.
  struct Lies {
    uint32_t bytes = 0;      // 0: the truth
    uint32_t crc32_xor = 0;  // 0: the truth
    int flags = 0;
    int method = -1;  // -1: the truth
    // 0: the table's own fields have the sizes and the offset. 1 or more: the
    // table's zip64 field has them. -1: the table refers to a zip64 field that
    // does not exist.
    int zip64 = 0;
    std::string trailing = {};  // after the packed bytes, as part of them
  };

  void Add(const std::string& name, std::string_view contents, Packing packing,
           const Lies& lies);
  void Add(const std::string& name, std::string_view contents,
           Packing packing = Packing::kStored) {
    Add(name, contents, packing, Lies());
  }

  // Returns the archive.
  std::vector<uint8_t> Finish(std::string_view comment = "") const;
  // Returns the archive with zip64 records at the end.
  std::vector<uint8_t> FinishZip64() const;

 private:
  std::string data_;
  std::string table_;
  size_t num_entries_ = 0;
};

// Returns a file as numpy.save writes it, version 1, with this dictionary.
std::string Npy(const std::string& dictionary, std::string_view data);

// Returns the dictionary, for example for ("<f4", "(2, 3)").
std::string NpyDictionary(const std::string& descr, const std::string& shape);

template <typename T>
std::string_view BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()),
          values.size() * sizeof(T)};
}

}  // namespace gemma::internal

#endif  // GEMMA_TESTS_SUPPORT_ZIP_WRITER_H_
