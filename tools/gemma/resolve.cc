#include "tools/gemma/resolve.h"

#include <unistd.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "tools/gemma/catalogue.h"
#include "tools/gemma/errors.h"
#include "tools/gemma/model_source.h"
#include "tools/gemma/model_store.h"

namespace gemma::tools {

absl::StatusOr<std::string> ResolveModel(const std::string& model) {
  if (access(model.c_str(), F_OK) == 0) return model;
  if (LooksLikeSource(model)) {
    return absl::NotFoundError(absl::StrCat(
        model, ": not a file; gemma pull fetches it and gives it a name"));
  }
  if (!IsModelName(model)) return model;
  GEMMA_TOOLS_ASSIGN_OR_RETURN(const ModelStore store, ModelStore::Open());
  GEMMA_TOOLS_ASSIGN_OR_RETURN(const std::optional<StoredModel> stored,
                               store.Find(model));
  if (stored.has_value() && stored->complete) return store.PathOf(*stored);
  if (stored.has_value()) {
    return absl::FailedPreconditionError(
        absl::StrCat(model, ": not all of it is here: gemma pull ", model,
                     " fetches the rest"));
  }
  if (FindInCatalogue(model) != nullptr) {
    return absl::NotFoundError(
        absl::StrCat(model, ": no such file, and not pulled: gemma pull ",
                     model, " fetches it"));
  }
  return absl::NotFoundError(
      absl::StrCat(model,
                   ": no such file, and no pulled model of this name "
                   "(gemma list)"));
}

}  // namespace gemma::tools
