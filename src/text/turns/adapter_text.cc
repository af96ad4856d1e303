#include "src/text/turns/adapter_text.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/formats/chat_template_files.h"
#include "src/formats/directory.h"
#include "src/text/tokenizer/load_tokenizer.h"

namespace gemma::internal {
namespace {

std::string_view PieceOf(const Tokenizer& tokenizer, size_t token) {
  return token < tokenizer.vocab_size()
             ? tokenizer.Piece(static_cast<TokenId>(token))
             : std::string_view();
}

void NoteTokenizer(const Checkpoint& adapter, const Tokenizer& tokenizer,
                   size_t num_rows, std::vector<std::string>& notes) {
  const absl::StatusOr<Tokenizer> own = LoadTokenizer(adapter, num_rows);
  // The adapter may lack one, and a broken one is not used.
  if (!own.ok()) return;
  const size_t size = std::max(own->vocab_size(), tokenizer.vocab_size());
  for (size_t token = 0; token < size; ++token) {
    const std::string_view there = PieceOf(*own, token);
    const std::string_view here = PieceOf(tokenizer, token);
    if (there == here) continue;
    notes.push_back(FormatText(
        "%s: the adapter's tokenizer differs from the model's, which is used: "
        "token %u is %s there and %s here",
        adapter.path, token, Quoted(there), Quoted(here)));
    return;
  }
}

void NoteTemplate(const Checkpoint& adapter, const Checkpoint& model,
                  std::vector<std::string>& notes) {
  const auto own = ReadChatTemplates(adapter);
  const auto used = ReadChatTemplates(model);
  if (!own.ok() || own->empty()) return;
  if (used.ok() && !used->empty() && used->front().text == own->front().text) {
    return;
  }
  notes.push_back(absl::StrCat(own->front().where,
                               ": the adapter's chat template differs from the "
                               "model's turns, which are used"));
}

}  // namespace

void NoteAdapterText(const std::string& adapter, const Checkpoint& model,
                     const Tokenizer& tokenizer, size_t num_rows,
                     std::vector<std::string>& notes) {
  std::error_code error;
  if (!std::filesystem::is_directory(adapter, error)) return;
  Checkpoint folder;
  folder.kind = CheckpointKind::kHuggingFace;
  folder.path = adapter;
  folder.directory = adapter;
  auto config = ReadObject(adapter, "tokenizer_config.json");
  if (config.ok()) folder.tokenizer_config = *std::move(config);
  NoteTokenizer(folder, tokenizer, num_rows, notes);
  NoteTemplate(folder, model, notes);
}

}  // namespace gemma::internal
