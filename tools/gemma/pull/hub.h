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
  std::string commit;  // that all of this is of
  std::vector<HubFile> files;
};

// HF_ENDPOINT, else https://huggingface.co.
absl::StatusOr<std::string> HubEndpoint();

// HF_TOKEN, else HUGGING_FACE_HUB_TOKEN, for the endpoint alone.
absl::StatusOr<HttpToken> HubToken(const std::string& endpoint);

// Asks for the files of a repository.
absl::StatusOr<HubListing> ListHub(HttpClient& http,
                                   const std::string& endpoint,
                                   const ModelSource& source);

// Reads what the API answers. A listing that names a file outside of its
// repository is refused. `where` is used in errors.
absl::StatusOr<HubListing> ParseListing(std::string_view text,
                                        std::string_view where);

// The files that make a model: the GGUF file `source` names, with all its
// parts, or the only one; else config, tokenizer and safetensors.
absl::StatusOr<std::vector<HubFile>> ChooseFiles(const HubListing& listing,
                                                 const ModelSource& source);

// Whether the file is of a module folder of sentence-transformers, which stays
// a folder here: "2_Dense/model.safetensors".
bool IsModuleFile(std::string_view path);

// Where the file of this commit can be had.
std::string HubFileUrl(const std::string& endpoint, const ModelSource& source,
                       const std::string& commit, std::string_view path);

// What the status of an answer that is no file means for `source`, and what to
// do about it.
absl::Status HubRefusal(long status, const HttpClient& http,
                        const std::string& endpoint, const ModelSource& source);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_PULL_HUB_H_
