// Text that knows who wrote each of its bytes.

#ifndef GEMMA_SRC_JINJA_VALUES_MARKED_TEXT_H_
#define GEMMA_SRC_JINJA_VALUES_MARKED_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gemma::internal {

// Only text of a template may become a control token.
enum class TextOrigin : uint8_t { kTemplate, kMessage };

// UTF-8 text that knows, byte run by byte run, whether the template or a
// message wrote it.
class MarkedText {
 public:
  // The bytes from the end of the previous run, or from 0, to `end`.
  struct Run {
    size_t end;
    TextOrigin origin;
    bool operator==(const Run&) const = default;
  };

  MarkedText() = default;
  MarkedText(std::string_view text, TextOrigin origin) { Append(text, origin); }

  void Append(std::string_view text, TextOrigin origin);
  void Append(const MarkedText& other);
  // Appends the bytes [begin, end) of another text.
  void Append(const MarkedText& other, size_t begin, size_t end);

  const std::string& text() const { return text_; }
  size_t size() const { return text_.size(); }
  bool empty() const { return text_.empty(); }
  // Ascending; neighbours differ in their origin; the last one ends with the
  // text. Without text, there are no runs.
  const std::vector<Run>& runs() const { return runs_; }

  // Returns the bytes [begin, end), with begin <= end <= size().
  MarkedText Substring(size_t begin, size_t end) const;

  // Returns who wrote the byte at `offset`, which is below size().
  TextOrigin OriginAt(size_t offset) const;

  bool operator==(const MarkedText&) const = default;

 private:
  std::string text_;
  std::vector<Run> runs_;
};

}  // namespace gemma::internal

#endif  // GEMMA_SRC_JINJA_VALUES_MARKED_TEXT_H_
