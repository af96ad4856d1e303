// The chat page that a server sends to browsers: the files of page/.

#ifndef GEMMA_TOOLS_GEMMA_SERVE_PAGE_H_
#define GEMMA_TOOLS_GEMMA_SERVE_PAGE_H_

#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "gemma/serve.h"
#include "tools/gemma/serve/request_reader.h"

namespace gemma::tools {

// A file of the page, as it was when CMake was run.
struct PageFile {
  std::string_view name;
  std::string_view digest;  // changes with the text
  std::string_view text;
  std::string_view gzip;  // the text as gzip
};

// Returns all files. Made by CMake.
absl::Span<const PageFile> PageFiles();

// Returns the file of a request (GET or HEAD): index.html for "/", FILE for
// "/page/FILE". Null for all other requests.
const PageFile* FindPageFile(std::string_view method, std::string_view target);

// A response with a file.
struct PageResponse {
  HttpHead head;
  std::string body;
};

// Returns the file, compressed if the client reads gzip; without a body and
// with status 304 if the client has this very file. The headers allow the page
// nothing but its own files and requests to this server, and no page may embed
// it.
PageResponse RespondWithFile(const PageFile& file,
                             const ReceivedRequest& request);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_SERVE_PAGE_H_
