// Files beside a model: autoencoders and saved sessions.

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "absl/crc/crc32c.h"
#include "absl/strings/str_cat.h"
#include "src/formats/npz.h"
#include "src/session/session_impl.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/targets.h"
#include "tests/support/hostile_gemma4.h"
#include "tests/support/hostile_model.h"
#include "tests/support/zip_writer.h"

namespace gemma::internal {
namespace {

// The arrays of an input that is not an archive. Archives have checksums, which
// a fuzzer cannot guess.
std::vector<uint8_t> Archive(std::string_view input) {
  const InputFiles files =
      SplitInput(input, {"W_enc.npy", "W_dec.npy", "b_enc.npy", "b_dec.npy",
                         "threshold.npy", "affine_skip_connection.npy"});
  ZipWriter zip;
  for (const auto& [name, contents] : files) {
    zip.Add(name, contents,
            contents.size() % 2 == 0 ? Packing::kStored : Packing::kDeflated);
  }
  return zip.Finish();
}

void RunAutoencoder(const SparseAutoencoder& autoencoder) {
  std::vector<float> x(2 * autoencoder.input_dim(), 0.5f);
  x[0] = 100.0f;
  const auto features = autoencoder.Encode(x, /*top_k=*/3);
  Require(features.ok() && features->size() == 2, "features of two rows");
  std::vector<float> out(autoencoder.output_dim());
  for (const Feature& feature : features->front()) {
    Require(feature.index < autoencoder.num_features(), "a known feature");
  }
  Require(autoencoder
              .Decode(features->front(),
                      absl::MakeSpan(x).first(autoencoder.input_dim()),
                      absl::MakeSpan(out))
              .ok(),
          "a reconstruction");
  Require(autoencoder.Direction(autoencoder.num_features() - 1).ok(),
          "a direction");
}

// Tiny models of all architectures that have sessions, loaded once. The order
// is that of the seeds.
const std::vector<Model>& TinyModels() {
  static const auto& models = *[] {
    InputFolder folder;
    auto* out = new std::vector<Model>;
    const auto load = [&](const Bytes& file) {
      const std::string path = folder.Path("m.gguf");
      folder.Write("m.gguf", TextOf(file));
      const auto model =
          Model::Load(path, {.num_threads = 1, .prefill_chunk = 4});
      Require(model.ok(), "a tiny model");
      out->push_back(*model);
    };
    for (const char* architecture : kArchitectures) {
      load(TinyGgufModel(architecture));
    }
    for (const char* form : kGemma4Generators) load(Gemma4GgufModel(form));
    return out;
  }();
  return models;
}

// Where a saved session has the number that identifies its model.
constexpr size_t kFingerprintBegin = 16;
constexpr size_t kFingerprintEnd = kFingerprintBegin + sizeof(uint64_t);

}  // namespace

bool FuzzNpz(absl::Span<const uint8_t> input) {
  static InputFolder folder;
  const bool is_archive = TextOf(input).starts_with("PK");
  const std::vector<uint8_t> bytes =
      is_archive ? std::vector<uint8_t>(input.begin(), input.end())
                 : Archive(TextOf(input));
  const absl::StatusOr<Npz> npz = Npz::Parse(bytes, "params.npz");
  if (!npz.ok()) {
    RequireBlame(npz.status(), "params.npz");
    return false;
  }
  folder.Write("params.npz", TextOf(bytes));
  const std::string path = folder.Path("params.npz");
  bool accepted = false;
  for (const FeatureWeights weights :
       {FeatureWeights::kFloat32, FeatureWeights::kInt8}) {
    const auto autoencoder =
        SparseAutoencoder::Load(path, {.weights = weights,
                                       .site = FeatureSite{.layer = 1},
                                       .num_threads = 1});
    if (!autoencoder.ok()) {
      RequireBlame(autoencoder.status(), path);
      break;
    }
    RunAutoencoder(*autoencoder);
    accepted = true;
  }
  return accepted;
}

bool FuzzSession(absl::Span<const uint8_t> input) {
  static InputFolder folder;
  if (input.empty()) return false;
  const Model& model = TinyModels()[input[0] % TinyModels().size()];
  std::string file(TextOf(input.subspan(1)));
  // A fuzzer cannot guess the model's fingerprint and the checksum.
  const uint64_t fingerprint = Session::Impl::FingerprintOf(model);
  if (file.size() >= kFingerprintEnd) {
    std::memcpy(&file[kFingerprintBegin], &fingerprint, sizeof(fingerprint));
  }
  const auto checksum = static_cast<uint32_t>(absl::ComputeCrc32c(file));
  file.append(reinterpret_cast<const char*>(&checksum), sizeof(checksum));
  folder.Write("s.session", file);
  const std::string path = folder.Path("s.session");
  absl::StatusOr<Session> session = Session::Restore(model, path);
  if (!session.ok()) {
    RequireBlame(session.status());
    return false;
  }
  const size_t position = session->position();
  if (session->remaining() > 0) {
    const std::vector<TokenId> next = {1};
    const auto logits = session->Forward(next);
    if (!logits.ok()) RequireBlame(logits.status());
  }
  const size_t whole = session->words().Whole(position / 2);
  const absl::Status status = session->Rewind(whole);
  if (!status.ok()) RequireBlame(status);
  // Caches of kMaxSessionTokens take 1 GB, of which only the pages that hold
  // words are touched. A system may refuse that.
  const absl::Status fork = session->Fork().status();
  Require(fork.ok() || absl::IsResourceExhausted(fork), "a fork");
  return true;
}

}  // namespace gemma::internal
