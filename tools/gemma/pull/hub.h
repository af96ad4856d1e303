// Repositories of the Hugging Face Hub.

#ifndef GEMMA_TOOLS_GEMMA_PULL_HUB_H_
#define GEMMA_TOOLS_GEMMA_PULL_HUB_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/gemma/pull/digest.h"
#include "tools/gemma/pull/http.h"
#include "tools/gemma/pull/model_source.h"

namespace gemma::tools {

struct HubFile {
  std::string path;
  uint64_t bytes = 0;
  Digest digest;
};

struct HubListing {
  std::string commit;  // the one that has these files
  std::vector<HubFile> files;
};

// The server: $HF_ENDPOINT, or https://huggingface.co if that is not set.
absl::StatusOr<std::string> HubEndpoint();

// The token in $HF_TOKEN, or else in $HUGGING_FACE_HUB_TOKEN; may be empty. It
// is sent only to `endpoint`.
absl::StatusOr<HttpToken> HubToken(const std::string& endpoint);

// Asks the server for the list of files in a repository.
absl::StatusOr<HubListing> ListHub(HttpClient& http,
                                   const std::string& endpoint,
                                   const ModelSource& source);

// Parses the API's response: untrusted JSON. Refuses a listing that names a
// file outside its repository. `where` names the source in errors.
absl::StatusOr<HubListing> ParseListing(std::string_view text,
                                        std::string_view where);

// Chooses the files of the model: the GGUF file that `source` names, or else
// the only GGUF model, with all its parts; without any GGUF model, the files of
// a directory: config, tokenizer and safetensors.
absl::StatusOr<std::vector<HubFile>> ChooseFiles(const HubListing& listing,
                                                 const ModelSource& source);

// Whether the file belongs to a module folder of sentence-transformers, such as
// "2_Dense/model.safetensors". Module folders stay folders in the store.
bool IsModuleFile(std::string_view path);

// The URL of a file at this commit.
std::string HubFileUrl(const std::string& endpoint, const ModelSource& source,
                       const std::string& commit, std::string_view path);

// The error for an HTTP status other than success: what it means for `source`,
// and a cure.
absl::Status HubRefusal(long status, const HttpClient& http,
                        const std::string& endpoint, const ModelSource& source);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_HUB_H_
