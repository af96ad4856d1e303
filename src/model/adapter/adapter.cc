#include "src/model/adapter/adapter.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/crc/crc32c.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/format_text.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/formats/adapter_file.h"
#include "src/formats/directory.h"
#include "src/model/adapter/adapter_config.h"
#include "src/model/adapter/adapter_names.h"
#include "src/model/tensors/low_rank.h"
#include "src/model/tensors/unused_tensors.h"
#include "src/os/path.h"

namespace gemma::internal {
namespace {

namespace fs = std::filesystem;

// A tensor and its name, which the file's table owns.
using Entry = TensorTable::value_type;

// The tensors of one product.
struct Product {
  BoundWeight* weight = nullptr;
  const Entry* a = nullptr;
  const Entry* b = nullptr;
  // The embedding's tensors are stored transposed.
  bool is_embedding = false;
};

std::vector<float> Transposed(const std::vector<float>& in, size_t rows) {
  const size_t cols = in.size() / rows;
  std::vector<float> out(in.size());
  for (size_t row = 0; row < rows; ++row) {
    for (size_t col = 0; col < cols; ++col) {
      out[col * rows + row] = in[row * cols + col];
    }
  }
  return out;
}

// Decodes a tensor of finite values.
absl::StatusOr<std::vector<float>> Values(const Entry& entry) {
  const auto& [name, tensor] = entry;
  GEMMA_ASSIGN_OR_RETURN(std::vector<float> values, Decode(tensor));
  const auto bad = std::find_if_not(values.begin(), values.end(),
                                    [](float x) { return std::isfinite(x); });
  if (bad == values.end()) return values;
  const size_t at = bad - values.begin();
  const size_t cols = tensor.shape.back();
  return absl::InvalidArgumentError(FormatText(
      "%s: tensor %s has a value that is not finite at row %u, column %u",
      tensor.file, Quoted(name), at / cols, at % cols));
}

// Adds one adapter to an outline.
class Reader {
 public:
  Reader(const Adapter& adapter, AdapterFile& file, Outline& outline)
      : adapter_(adapter), file_(file), outline_(outline), targets_(outline) {}

  absl::Status Add() {
    GEMMA_RETURN_IF_ERROR(ReadConfig());
    std::vector<const Entry*> entries;
    for (const Entry& entry : file_.tensors) entries.push_back(&entry);
    std::sort(
        entries.begin(), entries.end(),
        [](const Entry* x, const Entry* y) { return x->first < y->first; });
    for (const Entry* entry : entries) GEMMA_RETURN_IF_ERROR(Assign(*entry));
    if (products_.empty() && !has_whole_) {
      return absl::InvalidArgumentError(
          absl::StrCat(file_.path, ": changes no matrix of the model"));
    }
    bool changes_tied = false;
    for (auto& [target, product] : products_) {
      GEMMA_RETURN_IF_ERROR(AddProduct(target, product));
      changes_tied |= targets_.tied() &&
                      product.weight->spec.role == WeightRole::kEmbedding;
    }
    if (num_zero_ > 0) {
      outline_.notes.push_back(FormatText(
          "%s: the scale of %u of its %u products is 0: they change nothing",
          file_.path, num_zero_, products_.size()));
    }
    if (changes_tied) {
      outline_.notes.push_back(absl::StrCat(
          file_.path,
          ": changes the embedding and the head, which are one matrix here"));
    }
    if (num_of_towers_ > 0) {
      outline_.notes.push_back(absl::StrCat(
          file_.path, ": ", num_of_towers_,
          " tensors of towers for images or sound are not used, as only the "
          "text model runs"));
    }
    return absl::OkStatus();
  }

  // Whether weights of the outline point into the file.
  bool is_needed() const { return has_whole_; }

 private:
  absl::Status ReadConfig() {
    if (file_.config.has_value()) {
      GEMMA_ASSIGN_OR_RETURN(config_, AdapterConfig::Read(*file_.config));
      return absl::OkStatus();
    }
    const GgufMetadata& keys = *file_.metadata;
    std::string_view type;
    GEMMA_RETURN_IF_ERROR(keys.ReadRequired("adapter.type", type));
    if (type != "lora") {
      return absl::InvalidArgumentError(FormatText(
          "%s: adapter.type is %s, wanted 'lora'", keys.path(), Quoted(type)));
    }
    if (keys.Has("adapter.alora.invocation_tokens")) {
      return absl::InvalidArgumentError(FormatText(
          "%s: has adapter.alora.invocation_tokens, wanted an adapter that "
          "changes all tokens",
          keys.path()));
    }
    std::string_view architecture;
    GEMMA_RETURN_IF_ERROR(
        keys.ReadRequired("general.architecture", architecture));
    if (architecture != outline_.config.architecture) {
      return absl::InvalidArgumentError(FormatText(
          "%s: general.architecture is %s, the model's is %s", keys.path(),
          Quoted(architecture), Quoted(outline_.config.architecture)));
    }
    return keys.Read("adapter.lora.alpha", gguf_alpha_);
  }

  // For messages: " (the adapter is for 'google/gemma-2-2b')".
  std::string ForBase() const {
    if (!config_.has_value() || config_->base_model().empty()) return "";
    return absl::StrCat(" (the adapter is for ", Quoted(config_->base_model()),
                        ")");
  }

  // `why`: a part of a sentence, or empty.
  absl::Status NoUse(const Entry& entry, std::string_view why = "") const {
    return absl::InvalidArgumentError(
        absl::StrCat(entry.second.file, ": tensor ", Quoted(entry.first),
                     " changes no matrix of the model", why, ForBase()));
  }

  absl::Status OtherShape(const Entry& entry, std::string_view wanted) const {
    const auto& [name, tensor] = entry;
    return absl::InvalidArgumentError(FormatText(
        "%s: tensor %s is [%s], the model needs [%s]%s", tensor.file,
        Quoted(name), absl::StrJoin(tensor.shape, ", "), wanted, ForBase()));
  }

  // Finds the use of a tensor.
  absl::Status Assign(const Entry& entry) {
    const bool is_gguf = file_.metadata.has_value();
    const std::optional<AdapterTensorName> name =
        is_gguf ? ParseGgufName(entry.first) : ParsePeftName(entry.first);
    if (!name.has_value()) return NoUse(entry);
    if (!is_gguf && IsTowerName(name->target)) {
      ++num_of_towers_;
      return absl::OkStatus();
    }
    BoundWeight* weight = is_gguf ? targets_.FindGguf(name->target)
                                  : targets_.FindModule(name->target);
    if (weight == nullptr) {
      return NoUse(entry, is_gguf ? targets_.WhyNotGguf(name->target)
                                  : targets_.WhyNotModule(name->target));
    }
    // A tied head has the weight of the embedding, but linear parts.
    const bool is_embedding = weight->spec.role == WeightRole::kEmbedding &&
                              IsEmbeddingName(name->target);
    const bool has_embedding_parts = name->part == AdapterPart::kEmbeddingA ||
                                     name->part == AdapterPart::kEmbeddingB;
    if (name->part == AdapterPart::kWhole) return Replace(entry, *weight);
    if (!is_gguf && is_embedding != has_embedding_parts) return NoUse(entry);
    const bool is_a =
        name->part == AdapterPart::kA || name->part == AdapterPart::kEmbeddingA;
    Product& product = products_[std::string(name->target)];
    product.weight = weight;
    product.is_embedding = is_embedding;
    const Entry*& place = is_a ? product.a : product.b;
    if (place != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(entry.second.file, ": tensors ", Quoted(place->first),
                       " and ", Quoted(entry.first), " have the same use"));
    }
    place = &entry;
    return absl::OkStatus();
  }

  static bool IsEmbeddingName(std::string_view target) {
    return target == "token_embd.weight" ||
           target.substr(target.rfind('.') + 1) == "embed_tokens";
  }

  // Lets the model use the adapter's copy of the embedding or the head, as PEFT
  // does.
  absl::Status Replace(const Entry& entry, BoundWeight& weight) {
    const auto& [name, tensor] = entry;
    if (weight.spec.role != WeightRole::kEmbedding &&
        weight.spec.role != WeightRole::kHead) {
      return NoUse(entry);
    }
    if (tensor.shape != weight.spec.shape) {
      return OtherShape(entry, absl::StrJoin(weight.spec.shape, ", "));
    }
    if (const auto [other, is_new] = whole_.try_emplace(&weight, &entry);
        !is_new) {
      const Tensor& first = other->second->second;
      if (first.format != tensor.format ||
          !std::equal(first.data, first.data + first.bytes, tensor.data)) {
        return absl::InvalidArgumentError(absl::StrCat(
            tensor.file, ": tensors ", Quoted(other->second->first), " and ",
            Quoted(name),
            " differ, but the embedding and the head are one matrix here"));
      }
    }
    GEMMA_RETURN_IF_ERROR(Values(entry).status());
    weight.tensor = &tensor;
    weight.name = name;
    has_whole_ = true;
    return absl::OkStatus();
  }

  absl::Status AddProduct(const std::string& target, const Product& product) {
    if (product.a == nullptr || product.b == nullptr) {
      const Entry& one = product.a != nullptr ? *product.a : *product.b;
      return absl::InvalidArgumentError(absl::StrCat(
          one.second.file, ": tensor ", Quoted(one.first), " has no ",
          product.a != nullptr ? "B" : "A", " to be multiplied with"));
    }
    GEMMA_ASSIGN_OR_RETURN(const size_t rank, CheckShapes(product));
    GEMMA_ASSIGN_OR_RETURN(const float scale, ScaleOf(target, rank));
    if (scale == 0.0f) ++num_zero_;
    GEMMA_ASSIGN_OR_RETURN(std::vector<float> a, Values(*product.a));
    GEMMA_ASSIGN_OR_RETURN(std::vector<float> b, Values(*product.b));
    // LowRank wants b [rows, rank] and a [cols, rank].
    if (product.is_embedding) {
      std::swap(a, b);
      if (config_.has_value()) b = Transposed(b, rank);
    } else {
      a = Transposed(a, rank);
    }
    for (float& value : b) {
      value *= scale;
      if (std::isfinite(value)) continue;
      return absl::InvalidArgumentError(
          FormatText("%s: tensor %s times the scale %g is not finite",
                     product.b->second.file, Quoted(product.b->first), scale));
    }
    Digest(target, a, b);
    GEMMA_ASSIGN_OR_RETURN(LowRank low, LowRank::Create(std::move(b), a, rank));
    product.weight->low_ranks.push_back(
        std::make_shared<const LowRank>(std::move(low)));
    return absl::OkStatus();
  }

  // Checks the shapes of both tensors and returns the rank.
  absl::StatusOr<size_t> CheckShapes(const Product& product) const {
    const size_t rows = product.weight->spec.shape[0];
    const size_t cols = product.weight->spec.shape[1];
    const std::vector<size_t>& a = product.a->second.shape;
    const std::vector<size_t>& b = product.b->second.shape;
    // PEFT's embedding: A [r, rows], B [cols, r]. GGUF's: A [rows, r], B [cols,
    // r]. Others: A [r, cols], B [rows, r].
    const bool rank_last = product.is_embedding && !config_.has_value();
    const size_t a_size = product.is_embedding ? rows : cols;
    const size_t b_size = product.is_embedding ? cols : rows;
    if (a.size() != 2 || a[rank_last ? 0 : 1] != a_size) {
      return OtherShape(*product.a, rank_last ? absl::StrCat(a_size, ", rank")
                                              : absl::StrCat("rank, ", a_size));
    }
    const size_t rank = a[rank_last ? 1 : 0];
    if (b.size() != 2 || b[0] != b_size || b[1] != rank) {
      return OtherShape(*product.b, absl::StrCat(b_size, ", ", rank));
    }
    return rank;
  }

  absl::StatusOr<float> ScaleOf(std::string_view target, size_t rank) {
    if (config_.has_value()) {
      GEMMA_ASSIGN_OR_RETURN(const float scale, config_->ScaleOf(target, rank));
      return scale * adapter_.scale;
    }
    // As llama.cpp, which takes an alpha of 0 for a missing one.
    const float scale =
        gguf_alpha_ == 0.0f ? 1.0f : gguf_alpha_ / static_cast<float>(rank);
    return scale * adapter_.scale;
  }

  // Adds a product to the number that identifies the adapters.
  void Digest(std::string_view target, const std::vector<float>& a,
              const std::vector<float>& b) {
    const auto add = [&](const void* data, size_t bytes) {
      const auto crc = static_cast<uint32_t>(
          absl::ComputeCrc32c({static_cast<const char*>(data), bytes}));
      outline_.adapters_digest =
          (outline_.adapters_digest ^ (crc + uint64_t{1})) * 0x00000100000001B3;
    };
    add(target.data(), target.size());
    add(a.data(), a.size() * sizeof(float));
    add(b.data(), b.size() * sizeof(float));
  }

  const Adapter& adapter_;
  AdapterFile& file_;
  Outline& outline_;
  AdapterTargets targets_;
  std::optional<AdapterConfig> config_;  // nothing: GGUF
  float gguf_alpha_ = 0;
  std::map<std::string, Product> products_;  // by target
  std::map<const BoundWeight*, const Entry*> whole_;
  size_t num_of_towers_ = 0;
  size_t num_zero_ = 0;  // products that are scaled by 0
  bool has_whole_ = false;
};

// Notes an adapter in the model's directory that is not among `adapters`.
void NoteUnusedAdapter(absl::Span<const Adapter> adapters,
                       const Checkpoint& checkpoint, Outline& outline) {
  std::error_code error;
  if (!fs::is_directory(checkpoint.path, error) ||
      !Exists(checkpoint.path, kAdapterConfig)) {
    return;
  }
  for (const Adapter& adapter : adapters) {
    if (fs::equivalent(adapter.path, checkpoint.path, error)) return;
  }
  outline.notes.push_back(absl::StrCat(
      InDirectory(checkpoint.path, kAdapterConfig),
      ": the adapter beside the model's weights is not merged into them"));
}

}  // namespace

absl::Status AddAdapters(absl::Span<const Adapter> adapters,
                         const Checkpoint& checkpoint, Outline& outline) {
  for (const Adapter& adapter : adapters) {
    GEMMA_RETURN_IF_ERROR(CheckFileName(adapter.path));
    if (!std::isfinite(adapter.scale)) {
      return absl::InvalidArgumentError(
          FormatText("%s: the scale is %g, wanted a finite number",
                     adapter.path, adapter.scale));
    }
    GEMMA_ASSIGN_OR_RETURN(AdapterFile file, OpenAdapter(adapter.path));
    Reader reader(adapter, file, outline);
    GEMMA_RETURN_IF_ERROR(reader.Add());
    if (reader.is_needed()) outline.adapters.push_back(std::move(file));
  }
  NoteUnusedAdapter(adapters, checkpoint, outline);
  return absl::OkStatus();
}

}  // namespace gemma::internal
