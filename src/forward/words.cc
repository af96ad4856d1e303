#include "gemma/words.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <span>

#include "src/base/bytes.h"
#include "src/base/format_text.h"
#include "src/base/internal.h"
#include "src/base/no_throw.h"
#include "src/base/sha256.h"
#include "src/base/status_macros.h"

namespace gemma {
namespace {

// RowHash is defined for little-endian floats, as memory holds them.
static_assert(std::endian::native == std::endian::little);
std::span<const uint8_t> BytesOf(absl::Span<const float> values) {
  return {reinterpret_cast<const uint8_t*>(values.data()),
          values.size() * sizeof(float)};
}

uint64_t BigEndian(const uint8_t* at) {
  uint64_t number = 0;
  for (size_t i = 0; i < 8; ++i) number = number << 8 | at[i];
  return number;
}

RowHash HashOf(RowMask mask, std::span<const uint8_t> rest) {
  std::vector<uint8_t> start;
  AppendNumber(static_cast<uint32_t>(mask), start);
  Sha256 hash;
  hash.Append(start);
  hash.Append(rest);
  const Sha256::Digest digest = hash.Finish();
  return {BigEndian(digest.data()), BigEndian(digest.data() + 8)};
}

std::vector<RowHash> Hashes(absl::Span<const float> values, size_t model_dim,
                            RowMask mask) {
  const size_t size = values.size() / model_dim;
  std::vector<RowHash> hashes;
  hashes.reserve(size);
  if (mask == RowMask::kCausal) {
    for (size_t row = 0; row < size; ++row) {
      hashes.push_back(
          HashOf(mask, BytesOf(values.subspan(row * model_dim, model_dim))));
    }
    return hashes;
  }
  Sha256 all;
  all.Append(BytesOf(values));
  const Sha256::Digest digest = all.Finish();
  std::vector<uint8_t> bytes;
  for (size_t row = 0; row < size; ++row) {
    bytes.clear();
    AppendNumber(static_cast<uint32_t>(row), bytes);
    bytes.insert(bytes.end(), digest.begin(), digest.end());
    hashes.push_back(HashOf(mask, bytes));
  }
  return hashes;
}

absl::Status CheckValues(absl::Span<const float> values, size_t model_dim) {
  if (model_dim == 0) {
    return absl::InvalidArgumentError("model_dim is 0, wanted 1 or more");
  }
  if (values.empty() || values.size() % model_dim != 0) {
    return absl::InvalidArgumentError(FormatText(
        "rows have %u values, wanted a multiple of model_dim, which is %u",
        values.size(), model_dim));
  }
  if (values.size() / model_dim > std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError(FormatText(
        "there are %u rows, wanted less than 2^32", values.size() / model_dim));
  }
  const auto bad = std::find_if(values.begin(), values.end(),
                                [](float v) { return !std::isfinite(v); });
  if (bad == values.end()) return absl::OkStatus();
  const size_t at = bad - values.begin();
  return absl::InvalidArgumentError(
      FormatText("value %u of row %u is %f, wanted a finite number",
                 at % model_dim, at / model_dim, *bad));
}

}  // namespace

struct InputRows::Data {
  std::vector<float> values;
  size_t model_dim;
  RowMask mask;
  std::vector<RowHash> hashes;
};

absl::StatusOr<InputRows> InputRows::Create(std::vector<float> values,
                                            size_t model_dim, RowMask mask) {
  return NoThrow([&]() -> absl::StatusOr<InputRows> {
    GEMMA_RETURN_IF_ERROR(CheckValues(values, model_dim));
    std::vector<RowHash> hashes = Hashes(values, model_dim, mask);
    return InputRows(std::make_shared<const Data>(
        Data{std::move(values), model_dim, mask, std::move(hashes)}));
  });
}

size_t InputRows::size() const { return data_->hashes.size(); }
size_t InputRows::model_dim() const { return data_->model_dim; }
RowMask InputRows::mask() const { return data_->mask; }
absl::Span<const float> InputRows::values() const { return data_->values; }
absl::Span<const RowHash> InputRows::hashes() const { return data_->hashes; }

bool Words::Continues(const InputRows& rows, size_t first) const {
  if (rows_.empty()) return false;
  const PlacedRows& last = rows_.back();
  return last.rows.data_ == rows.data_ && last.end == size() &&
         last.first + (last.end - last.begin) == first;
}

void Words::Append(const InputRows& rows, size_t first, size_t count) {
  if (Continues(rows, first)) {
    tokens_.resize(size() + count, kRowToken);
    rows_.back().end += count;
    return;
  }
  // Reserve first: if memory runs out, nothing has changed.
  if (rows_.size() == rows_.capacity()) rows_.reserve(2 * rows_.size() + 1);
  const size_t begin = size();
  tokens_.resize(begin + count, kRowToken);
  rows_.push_back({begin, begin + count, first, rows});
}

void Words::Truncate(size_t size) {
  size = Whole(size);
  tokens_.resize(size);
  while (!rows_.empty() && rows_.back().begin >= size) rows_.pop_back();
  if (!rows_.empty()) rows_.back().end = std::min(rows_.back().end, size);
}

namespace {

// The first of the rows that end after `position`.
template <class Iterator>
Iterator RowsAfter(Iterator begin, Iterator end, size_t position) {
  return std::partition_point(
      begin, end, [&](const PlacedRows& p) { return p.end <= position; });
}

}  // namespace

Word Words::operator[](size_t position) const {
  const auto placed = RowsAfter(rows_.begin(), rows_.end(), position);
  if (placed == rows_.end() || position < placed->begin) {
    return {tokens_[position], {}};
  }
  const size_t row = placed->first + (position - placed->begin);
  return {kRowToken, placed->rows.hashes()[row]};
}

size_t Words::Whole(size_t size) const {
  const auto placed = RowsAfter(rows_.begin(), rows_.end(), size);
  if (placed == rows_.end() || size <= placed->begin ||
      placed->rows.mask() == RowMask::kCausal) {
    return size;
  }
  return placed->begin;
}

bool Words::operator==(const Words& other) const {
  return size() == other.size() && CommonPrefix(*this, other) == size();
}

size_t CommonPrefix(const Words& a, const Words& b) {
  const size_t most = std::min(a.size(), b.size());
  const auto end = std::mismatch(a.tokens().begin(), a.tokens().begin() + most,
                                 b.tokens().begin());
  const size_t common = end.first - a.tokens().begin();
  for (const PlacedRows& placed : a.rows()) {
    for (size_t i = placed.begin; i < std::min(placed.end, common); ++i) {
      const size_t row = placed.first + (i - placed.begin);
      if (b[i].hash != placed.rows.hashes()[row]) return i;
    }
  }
  return common;
}

}  // namespace gemma
