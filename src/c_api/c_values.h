// What the C functions share: the objects behind their pointers, and checks of
// arguments.

#ifndef GEMMA_SRC_C_API_C_VALUES_H_
#define GEMMA_SRC_C_API_C_VALUES_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gemma/c_api.h"
#include "gemma/gemma.h"

struct gemma_model {
  gemma::Model model;
};

struct gemma_session {
  gemma::Session session;
};

struct gemma_input_rows {
  gemma::InputRows rows;
};

struct gemma_words {
  gemma::Words words = {};
};

struct gemma_compiled_grammar {
  gemma::Grammar grammar;
};

struct gemma_answer {
  gemma::Tokenizer tokenizer;
  gemma::ParsedAnswer parts = {};
  gemma::ToolDialect dialect = gemma::ToolDialect::kNone;
};

struct gemma_thread_pool {
  gemma::ThreadPool pool;
};

struct gemma_embedder {
  gemma::Embedder embedder;
};

struct gemma_autoencoder {
  gemma::SparseAutoencoder autoencoder;
};

struct gemma_feature_tap {
  gemma::Model model;  // whose activations it takes
  gemma::TapFunction tap;
};

struct gemma_engine {
  gemma::Model model;
  gemma::Engine engine;
};

namespace gemma::internal {

inline absl::Status NullError(std::string_view name) {
  return absl::InvalidArgumentError(absl::StrCat(name, " is null"));
}

#define GEMMA_C_REQUIRE(pointer) \
  if ((pointer) == nullptr) return gemma::internal::NullError(#pointer)
// The same for a pointer of a list, which may be null if the list is empty.
#define GEMMA_C_REQUIRE_LIST(from, list, count) \
  if ((count) != 0 && (from).list == nullptr)   \
  return gemma::internal::NullError(#list)

// ---- Results

// Writes the size of a result. Fails if there is less room.
inline absl::Status WriteSize(size_t wanted, size_t capacity, size_t* size) {
  *size = wanted;
  if (wanted <= capacity) return absl::OkStatus();
  return absl::OutOfRangeError(
      absl::StrCat("there is room for ", capacity, ", wanted ", wanted));
}

// Writes tokens or text as gemma/c_tokens.h specifies.
template <class From, class To>
absl::Status Write(const From& from, To* to, size_t capacity, size_t* size) {
  const absl::Status written = WriteSize(from.size(), capacity, size);
  if (!written.ok() || from.empty()) return written;
  if (to == nullptr) return NullError("the buffer");
  std::copy(from.begin(), from.end(), to);
  return absl::OkStatus();
}

// ---- Structs that begin with their size

// Sets a caller's struct of `size` bytes: to the defaults, as far as both have
// the fields, and the rest to 0.
template <class Struct>
void InitSized(Struct* to, size_t size, Struct defaults) {
  if (to == nullptr || size < sizeof(size_t)) return;
  defaults.struct_size = size;
  std::memset(static_cast<void*>(to), 0, size);
  std::memcpy(static_cast<void*>(to), &defaults,
              std::min(size, sizeof(defaults)));
}

template <class Struct>
absl::Status CheckSize(const Struct& sized, const char* name) {
  if (sized.struct_size >= sizeof(size_t)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, ".struct_size is ", sized.struct_size, ", wanted ",
                   sizeof(Struct), ": call ", name, "_init"));
}

// Copies the fields that both versions of the struct have from the caller's
// struct to `into`, which holds defaults. Fields of a newer header must be
// zero.
template <class Options>
absl::Status ReadSized(const Options* from, const char* name, Options& into) {
  if (from == nullptr) return absl::OkStatus();
  const absl::Status checked = CheckSize(*from, name);
  if (!checked.ok()) return checked;
  const size_t size = from->struct_size;
  const auto* bytes = reinterpret_cast<const unsigned char*>(from);
  for (size_t i = sizeof(Options); i < size; ++i) {
    if (bytes[i] == 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        name, " sets a field that version ", GEMMA_VERSION_STRING, " lacks"));
  }
  std::memcpy(&into, from, std::min(size, sizeof(Options)));
  return absl::OkStatus();
}

// Writes the fields that the caller's struct has. Its size was checked.
template <class Struct>
void WriteSized(Struct from, Struct* to) {
  from.struct_size = to->struct_size;
  std::memcpy(static_cast<void*>(to), &from,
              std::min(sizeof(from), to->struct_size));
}

// ---- Enumerations and lists

// Returns an enumeration's number. The caller may have set any number.
template <class Enum>
unsigned NumberOf(const Enum& value) {
  unsigned number;
  static_assert(sizeof(number) == sizeof(value));
  std::memcpy(&number, &value, sizeof(number));
  return number;
}

// Converts an enumeration of C, which must be one of the first `count` numbers,
// to one of C++ with the same numbers. `name` begins the message.
template <class To, class From>
absl::Status ReadEnum(const From& from, std::string_view name, unsigned count,
                      To& to) {
  const unsigned number = NumberOf(from);
  if (number >= count) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " is ", number, ", wanted 0 to ", count - 1));
  }
  to = static_cast<To>(number);
  return absl::OkStatus();
}

// Copies texts that end with 0. `name` is the field's.
inline absl::Status ReadTexts(const char* const* from, size_t count,
                              std::string_view name,
                              std::vector<std::string>& to) {
  if (count != 0 && from == nullptr) return NullError(name);
  for (size_t i = 0; i < count; ++i) {
    if (from[i] == nullptr) return NullError(absl::StrCat(name, "[", i, "]"));
    to.emplace_back(from[i]);
  }
  return absl::OkStatus();
}

// Likewise for texts with a size.
inline absl::Status ReadTexts(const gemma_text* from, size_t count,
                              std::string_view name,
                              std::vector<std::string>& to) {
  if (count != 0 && from == nullptr) return NullError(name);
  for (size_t i = 0; i < count; ++i) {
    if (from[i].text == nullptr && from[i].size != 0) {
      return NullError(absl::StrCat(name, "[", i, "].text"));
    }
    to.emplace_back(from[i].text == nullptr ? "" : from[i].text, from[i].size);
  }
  return absl::OkStatus();
}

// Likewise for lists of tokens.
inline absl::Status ReadLists(const gemma_tokens* from, size_t count,
                              std::string_view name,
                              std::vector<std::vector<TokenId>>& to) {
  if (count != 0 && from == nullptr) return NullError(name);
  for (size_t i = 0; i < count; ++i) {
    if (from[i].tokens == nullptr && from[i].size != 0) {
      return NullError(absl::StrCat(name, "[", i, "].tokens"));
    }
    to.emplace_back(from[i].tokens, from[i].tokens + from[i].size);
  }
  return absl::OkStatus();
}

inline std::string TextOrEmpty(const char* text) {
  return text == nullptr ? "" : text;
}

// ---- Models

// Returns whether both share what one call loaded.
inline bool IsSame(const Model& a, const Model& b) {
  return &a.impl() == &b.impl();
}

// Checks that a tap was made for the model: it would write past the activations
// of a narrower one.
inline absl::Status CheckTapModel(const gemma_feature_tap& tap,
                                  const Model& model) {
  if (IsSame(tap.model, model)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "feature_tap belongs to another model, wanted one that "
      "gemma_feature_tap_create made for this model");
}

// ---- Fields that several structs have

absl::Status ReadRole(const gemma_role& from, std::string_view name, Role& to);
absl::Status ReadAdapters(const char* const* paths, const float* scales,
                          size_t count, std::vector<Adapter>& to);
absl::Status ReadCacheFormat(const gemma_cache_format& from, CacheFormat& to);
absl::Status ReadWeightType(const gemma_weight_type& from,
                            std::string_view name, WeightType& to);
absl::Status ReadGrammarSource(const gemma_grammar_source* from,
                               GrammarSource& to);
absl::Status ReadToolRules(const gemma_tool_rules* from, ToolRules& to);
absl::Status ReadEmbedOptions(const gemma_embed_options* from,
                              EmbedOptions& to);
// Checks and fills the caller's struct.
absl::Status WriteMemory(const MemoryUse& from, gemma_memory_use* to);
gemma_feature_site SiteOf(const FeatureSite& site);
TapFunction TapOf(gemma_tap_function tap, void* user);

}  // namespace gemma::internal

#endif  // GEMMA_SRC_C_API_C_VALUES_H_
