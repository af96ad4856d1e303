#include "tests/fuzz/harness.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/base/messages.h"

namespace gemma::internal {
namespace {

constexpr std::string_view kMarker = "=== ";

// What the content of a file may cause. The library has no other errors for it.
bool IsCodeOfContent(absl::StatusCode code) {
  return code == absl::StatusCode::kInvalidArgument ||
         code == absl::StatusCode::kDataLoss ||
         code == absl::StatusCode::kNotFound ||
         code == absl::StatusCode::kUnimplemented ||
         code == absl::StatusCode::kFailedPrecondition ||
         code == absl::StatusCode::kOutOfRange ||
         code == absl::StatusCode::kResourceExhausted;
}

// Returns where the next line that begins with the marker starts.
size_t FindMarker(std::string_view text) {
  if (text.starts_with(kMarker)) return 0;
  const size_t found = text.find(absl::StrCat("\n", kMarker));
  return found == std::string_view::npos ? found : found + 1;
}

void RunSession(const Model& model) {
  absl::StatusOr<Session> session =
      Session::Create(model, {.max_tokens = 8, .max_rollback = 2});
  if (!session.ok()) return RequireBlame(session.status());
  const size_t vocab_size = model.config().vocab_size;
  const auto last = static_cast<TokenId>(vocab_size - 1);
  const std::vector<TokenId> tokens = {0, last, last / 2};
  for (const bool again : {false, true}) {
    const absl::StatusOr<absl::Span<float>> logits =
        again ? session->ForwardTop(absl::MakeSpan(tokens).last(1), 1)
              : session->Forward(tokens);
    if (!logits.ok()) return RequireBlame(logits.status());
    Require(logits->size() == vocab_size, "one logit for each token");
    Sampler sampler({.temperature = again ? 0.0f : 1.0f});
    const TokenId token = sampler.Sample(*logits);
    Require(token >= 0 && token <= last, "a sampled token of the vocabulary");
    Require(session->Rewind(2).ok(), "a session that goes back");
  }
}

}  // namespace

void Require(bool condition, std::string_view what) {
  if (condition) return;
  std::fprintf(stderr, "wanted %.*s\n", static_cast<int>(what.size()),
               what.data());
  std::abort();
}

void RequireBlame(const absl::Status& status, std::string_view named) {
  if (!status.ok() && IsCodeOfContent(status.code()) &&
      absl::StrContains(status.message(), named) &&
      IsPrintable(status.message())) {
    return;
  }
  Require(false, absl::StrCat("an error about the input, got ",
                              absl::StatusCodeToString(status.code()), ": ",
                              Printable(status.message(), kUncut)));
}

uint64_t HashOf(absl::Span<const uint8_t> input) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const uint8_t byte : input) hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

InputFolder::InputFolder() {
  std::error_code error;
  const std::string name = absl::StrCat("gemma_fuzz.", getpid(), ".XXXXXX");
  const bool has_memory = std::filesystem::is_directory("/dev/shm", error);
  path_ = absl::StrCat(has_memory ? "/dev/shm" : "/tmp", "/", name);
  Require(mkdtemp(path_.data()) != nullptr, "a folder for files");
}

InputFolder::~InputFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

std::string InputFolder::Path(std::string_view name) const {
  return absl::StrCat(path_, "/", name);
}

void InputFolder::Write(std::string_view name, std::string_view contents) {
  const std::string path = Path(name);
  if (names_.insert(std::string(name)).second) {
    std::error_code error;
    std::filesystem::create_directories(
        std::filesystem::path(path).parent_path(), error);
  }
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  Require(file >= 0, "a file to write");
  Require(write(file, contents.data(), contents.size()) ==
              static_cast<ssize_t>(contents.size()),
          "room for a file");
  close(file);
}

void InputFolder::Clear(const std::set<std::string>& keep) {
  std::erase_if(names_, [&](const std::string& name) {
    if (keep.contains(name)) return false;
    unlink(Path(name).c_str());
    return true;
  });
}

InputFiles SplitInput(std::string_view input,
                      const std::vector<std::string>& names) {
  if (!input.starts_with(kMarker)) return {{names[0], input}};
  InputFiles files;
  while (!input.empty()) {
    input.remove_prefix(kMarker.size());
    const size_t end = std::min(input.find('\n'), input.size());
    const std::string name(input.substr(0, end));
    input.remove_prefix(std::min(end + 1, input.size()));
    const size_t next = FindMarker(input);
    const bool is_last = next == std::string_view::npos;
    const std::string_view contents =
        is_last ? input : input.substr(0, next == 0 ? 0 : next - 1);
    input.remove_prefix(is_last ? input.size() : next);
    const bool is_new =
        std::none_of(files.begin(), files.end(),
                     [&](const auto& file) { return file.first == name; });
    if (is_new && std::find(names.begin(), names.end(), name) != names.end()) {
      files.emplace_back(name, contents);
    }
  }
  return files;
}

void WriteInput(const InputFiles& files, InputFolder& folder,
                const std::set<std::string>& keep) {
  folder.Clear(keep);
  for (const auto& [name, contents] : files) folder.Write(name, contents);
}

bool LoadAndRunModel(const std::string& path) {
  const absl::StatusOr<Model> model =
      Model::Load(path, {.num_threads = 1, .prefill_chunk = 4});
  if (!model.ok()) {
    RequireBlame(model.status(), path);
    return false;
  }
  if (const auto tokenizer = model->tokenizer(); tokenizer.ok()) {
    RunTokenizer(**tokenizer, "a <start_of_turn>\n\nb");
  }
  if (model->config().pooling == Pooling::kNone) {
    RunSession(*model);
    return true;
  }
  const absl::StatusOr<Embedder> embedder =
      Embedder::Create(*model, {.max_tokens = 8});
  if (!embedder.ok()) {
    RequireBlame(embedder.status());
    return true;
  }
  const absl::StatusOr<Embeddings> vectors = embedder->Embed({"", "a b"});
  if (!vectors.ok()) RequireBlame(vectors.status());
  return true;
}

void RunTokenizer(const Tokenizer& tokenizer, std::string_view input) {
  const std::string_view texts[] = {"Hello <bos> world\n\n  \t1\xFF",
                                    input.substr(0, 256)};
  for (const std::string_view text : texts) {
    std::set<TokenId> controls;
    for (const ControlTokens parse :
         {ControlTokens::kAsText, ControlTokens::kParse}) {
      const auto tokens = tokenizer.Encode(text, parse);
      if (!tokens.ok()) {
        RequireBlame(tokens.status());
        continue;
      }
      for (const TokenId token : *tokens) {
        Require(
            token >= 0 && static_cast<size_t>(token) < tokenizer.vocab_size(),
            "tokens of the vocabulary");
        if (parse == ControlTokens::kAsText && tokenizer.IsControl(token)) {
          controls.insert(token);
        }
      }
      tokenizer.Decode(*tokens);
    }
    // Only the unknown token, which is one, may stand for text.
    Require(controls.size() <= 1, "text that becomes no control token");
  }
}

}  // namespace gemma::internal
