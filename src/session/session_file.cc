#include "src/session/session_file.h"

#include <bit>
#include <cstring>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/crc/crc32c.h"
#include "absl/functional/function_ref.h"
#include "src/base/bytes.h"
#include "src/base/checked_reader.h"
#include "src/base/format_text.h"
#include "src/base/status_macros.h"
#include "src/forward/word_view.h"
#include "src/os/atomic_file.h"

namespace gemma::internal {
namespace {

constexpr std::string_view kMagic = "GEMMASES";
constexpr uint32_t kVersion = 2;
constexpr size_t kChecksumBytes = 4;

// Files hold little-endian floats, as memory does.
static_assert(std::endian::native == std::endian::little);

// The part of the file before the rows.
std::vector<uint8_t> Header(uint64_t fingerprint, const SavedSession& session) {
  std::vector<uint8_t> out(kMagic.begin(), kMagic.end());
  AppendNumber(kVersion, out);
  AppendNumber(static_cast<uint32_t>(session.options.cache_format), out);
  AppendNumber(fingerprint, out);
  for (const size_t size :
       {session.options.max_tokens, session.options.max_rollback,
        session.options.checkpoint_interval, session.options.max_checkpoints,
        session.floor, session.words.size()}) {
    AppendNumber(uint64_t{size}, out);
  }
  for (const TokenId token : session.words.tokens()) AppendNumber(token, out);
  AppendNumber(uint64_t{session.words.rows().size()}, out);
  return out;
}

void WriteRows(const PlacedRows& placed,
               absl::FunctionRef<void(std::span<const uint8_t>)> write) {
  const size_t count = placed.end - placed.begin;
  std::vector<uint8_t> numbers;
  AppendNumber(uint64_t{placed.begin}, numbers);
  AppendNumber(uint64_t{count}, numbers);
  AppendNumber(static_cast<uint32_t>(placed.rows.mask()), numbers);
  write(numbers);
  const size_t model_dim = placed.rows.model_dim();
  const absl::Span<const float> values =
      placed.rows.values().subspan(placed.first * model_dim, count * model_dim);
  write({reinterpret_cast<const uint8_t*>(values.data()),
         values.size() * sizeof(float)});
}

absl::Status Damaged(const std::string& path, std::string_view what) {
  return absl::DataLossError(
      FormatText("%s: not a saved session: %s", path, what));
}

// Reads what WriteRows wrote, and appends the tokens before it and the rows to
// `words`. Returns false if the file ends too early or a number is out of
// range. Throws if memory runs out.
bool ReadRows(CheckedReader& reader, const ModelConfig& config,
              absl::Span<const TokenId> tokens, Words& words) {
  uint64_t begin = 0;
  uint64_t count = 0;
  uint32_t mask = 0;
  if (!reader.Read(begin) || !reader.Read(count) || !reader.Read(mask)) {
    return false;
  }
  const uint64_t row_bytes = config.model_dim * sizeof(float);
  if (begin < words.size() || begin > tokens.size() ||
      count > tokens.size() - begin || count > reader.remaining() / row_bytes ||
      mask > static_cast<uint32_t>(RowMask::kBidirectional)) {
    return false;
  }
  absl::Span<const uint8_t> bytes;
  if (!reader.ReadBytes(count * row_bytes, bytes)) return false;
  std::vector<float> values(count * config.model_dim);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  const absl::StatusOr<InputRows> rows = InputRows::Create(
      std::move(values), config.model_dim, static_cast<RowMask>(mask));
  if (absl::IsResourceExhausted(rows.status())) throw std::bad_alloc();
  if (!rows.ok()) return false;
  words.Append(tokens.subspan(words.size(), begin - words.size()));
  words.Append(*rows);
  return true;
}

// Reads the words that Header and WriteRows wrote. Returns nullopt where
// ReadRows returns false.
std::optional<Words> ReadWords(CheckedReader& reader, const ModelConfig& config,
                               uint64_t count) {
  if (count > reader.remaining() / sizeof(TokenId)) return std::nullopt;
  std::vector<TokenId> tokens(count);
  for (TokenId& token : tokens) {
    if (!reader.Read(token)) return std::nullopt;
  }
  uint64_t num_rows = 0;
  if (!reader.Read(num_rows)) return std::nullopt;
  Words words;
  for (uint64_t i = 0; i < num_rows; ++i) {
    if (!ReadRows(reader, config, tokens, words)) return std::nullopt;
  }
  words.Append(absl::MakeConstSpan(tokens).subspan(words.size()));
  // Wanted: rows exactly where the tokens are kRowToken.
  if (words.tokens() != absl::MakeConstSpan(tokens)) return std::nullopt;
  return words;
}

// Reads what Header wrote after the fingerprint. Returns false if the file ends
// too early or a number is out of range.
bool ReadHeader(CheckedReader& reader, const ModelConfig& config,
                SavedSession& session) {
  uint64_t sizes[6];
  for (uint64_t& size : sizes) {
    if (!reader.Read(size)) return false;
  }
  session.options.max_tokens = sizes[0];
  session.options.max_rollback = sizes[1];
  session.options.checkpoint_interval = sizes[2];
  session.options.max_checkpoints = sizes[3];
  session.floor = sizes[4];
  const uint64_t count = sizes[5];
  if (session.floor > count ||
      count - session.floor > session.options.max_rollback) {
    return false;
  }
  std::optional<Words> words = ReadWords(reader, config, count);
  if (!words.has_value()) return false;
  session.words = *std::move(words);
  // Allow any number of rows here. Session::Restore knows how many fit in a
  // pass.
  return CheckWords(session.words, config, count, "the session").ok();
}

}  // namespace

absl::Status WriteSession(const std::string& path, uint64_t fingerprint,
                          const SavedSession& session,
                          const SequenceState& state) {
  GEMMA_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  absl::crc32c_t checksum{0};
  absl::Status status;
  const auto write = [&](std::span<const uint8_t> bytes) {
    checksum = absl::ExtendCrc32c(checksum, AsText(bytes));
    if (status.ok()) status = file.Write(bytes);
  };
  write(Header(fingerprint, session));
  for (const PlacedRows& placed : session.words.rows()) {
    WriteRows(placed, write);
  }
  state.ForEachPiece(session.words.size(), write);
  std::vector<uint8_t> end;
  AppendNumber(static_cast<uint32_t>(checksum), end);
  write(end);
  GEMMA_RETURN_IF_ERROR(status);
  return file.Commit();
}

absl::StatusOr<SessionFile> SessionFile::Open(const std::string& path,
                                              uint64_t fingerprint,
                                              const ModelConfig& config) {
  GEMMA_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(path));
  if (!file.text().starts_with(kMagic)) {
    return Damaged(path, "it does not begin with GEMMASES");
  }
  if (file.size() < kMagic.size() + kChecksumBytes) {
    return Damaged(path, "it is truncated");
  }
  CheckedReader reader(file.bytes().subspan(kMagic.size()));
  uint32_t version = 0;
  if (!reader.Read(version) || version != kVersion) {
    return absl::UnimplementedError(FormatText(
        "%s: saved session of version %u, wanted %u", path, version, kVersion));
  }
  const size_t size = file.size() - kChecksumBytes;
  CheckedReader end(file.bytes().subspan(size));
  uint32_t checksum = 0;
  if (!end.Read(checksum) ||
      absl::crc32c_t{checksum} !=
          absl::ComputeCrc32c(AsText(file.bytes().first(size)))) {
    return Damaged(path, "its checksum is wrong, it was changed or truncated");
  }

  uint32_t cache_format = 0;
  uint64_t found = 0;
  if (!reader.Read(cache_format) || !reader.Read(found)) {
    return Damaged(path, "it is truncated");
  }
  if (found != fingerprint) {
    return absl::FailedPreconditionError(
        FormatText("%s: saved with another model", path));
  }
  SavedSession session;
  if (cache_format > static_cast<uint32_t>(CacheFormat::kInt8) ||
      !ReadHeader(reader, config, session)) {
    return Damaged(path, "a number is out of range");
  }
  session.options.cache_format = static_cast<CacheFormat>(cache_format);
  const size_t state_begin = kMagic.size() + reader.position();
  if (state_begin > size) return Damaged(path, "it is truncated");
  return SessionFile(std::move(file), std::move(session), state_begin);
}

absl::Status SessionFile::ReadState(const SequenceState& state) const {
  const size_t position = session_.words.size();
  size_t wanted = 0;
  state.ForEachPiece(position,
                     [&](std::span<uint8_t> piece) { wanted += piece.size(); });
  const uint8_t* from = file_.bytes().data() + state_begin_;
  const size_t found = file_.size() - kChecksumBytes - state_begin_;
  if (found != wanted) {
    return Damaged(
        file_.path(),
        FormatText("it has %u bytes of state, wanted %u", found, wanted));
  }
  state.ForEachPiece(position, [&](std::span<uint8_t> piece) {
    std::memcpy(piece.data(), from, piece.size());
    from += piece.size();
  });
  return absl::OkStatus();
}

}  // namespace gemma::internal
