#include "tools/gemma/texts/embed_output.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "src/os/atomic_file.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/io/errors.h"

namespace gemma::tools {
namespace {

std::string_view FormatOf(const EmbedOutputOptions& options) {
  if (!options.format.empty()) return options.format;
  return absl::EndsWith(options.path, ".npy") ? "npy" : "text";
}

// Appends the shortest decimal number that reads back as the same float32.
void AppendNumber(float value, std::string* text) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value);
  text->append(buffer, end.ptr);
}

std::string Array(absl::Span<const float> values, std::string_view comma) {
  std::string text = "[";
  for (const float value : values) {
    if (text.size() > 1) text += comma;
    AppendNumber(value, &text);
  }
  return text + "]";
}

}  // namespace

absl::Status Check(const EmbedOutputOptions& options) {
  if (FormatOf(options) == "npy" && options.path.empty()) {
    return Needs("--npy", "--output FILE");
  }
  return absl::OkStatus();
}

EmbedOutput::EmbedOutput(bool json, const nlohmann::ordered_json& head)
    : json_(json) {
  if (!json) return;
  head_ = head.dump(-1, ' ', false,
                    nlohmann::ordered_json::error_handler_t::replace);
  head_.back() = ',';  // its brace
}

absl::StatusOr<EmbedOutput> EmbedOutput::Open(const EmbedOutputOptions& options,
                                              size_t texts, size_t dimensions) {
  const std::string_view format = FormatOf(options);
  EmbedOutput output(format == "json", options.head);
  if (format == "npy") {
    GEMMA_ASSIGN_OR_RETURN(NpyWriter npy,
                           NpyWriter::Create(options.path, texts, dimensions));
    output.npy_.emplace(std::move(npy));
  } else if (!options.path.empty()) {
    GEMMA_ASSIGN_OR_RETURN(AtomicFile file,
                           AtomicFile::CreateOutput(options.path));
    output.file_.emplace(std::move(file));
  }
  return output;
}

std::string EmbedOutput::Line(const EmbedInput& input,
                              const Embeddings& embeddings, size_t text) const {
  const std::string vector =
      Array(absl::MakeSpan(embeddings.values)
                .subspan(text * embeddings.dimensions, embeddings.dimensions),
            json_ ? "," : ", ");
  if (!json_) return absl::StrCat(vector, "\n");
  const bool is_cut = std::binary_search(embeddings.truncated.begin(),
                                         embeddings.truncated.end(), text);
  return absl::StrCat(
      head_, "\"index\":", done_ + text,
      input.id.empty() ? "" : absl::StrCat(",\"id\":", input.id),
      ",\"tokens\":", embeddings.num_tokens[text],
      ",\"truncated\":", is_cut ? "true" : "false", ",\"embedding\":", vector,
      "}\n");
}

absl::Status EmbedOutput::Append(absl::Span<const EmbedInput> inputs,
                                 const Embeddings& embeddings) {
  if (npy_.has_value()) return npy_->Append(embeddings.values);
  std::string lines;
  for (size_t i = 0; i < inputs.size(); ++i) {
    lines += Line(inputs[i], embeddings, i);
  }
  done_ += inputs.size();
  return file_.has_value() ? file_->Write(lines) : WriteOutput(lines);
}

absl::Status EmbedOutput::Finish() {
  if (npy_.has_value()) return npy_->Finish();
  return file_.has_value() ? file_->Commit() : absl::OkStatus();
}

}  // namespace gemma::tools
