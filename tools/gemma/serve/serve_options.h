// The options of `gemma serve`.

#ifndef GEMMA_TOOLS_GEMMA_SERVE_SERVE_OPTIONS_H_
#define GEMMA_TOOLS_GEMMA_SERVE_SERVE_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gemma/serve.h"
#include "tools/gemma/cli/model_options.h"
#include "tools/gemma/serve/http_shared.h"

namespace gemma::tools {

struct ServeOptions {
  std::vector<std::string> models;        // MODEL or NAME=MODEL
  std::string guard;                      // a ShieldGemma, as in models; or ""
  std::vector<std::string> autoencoders;  // [NAME=]FILE[:SITE]
  std::string sae_type = "bfloat16";
  ModelOptions model;    // of each, without its path
  EngineOptions engine;  // of each
  ServerOptions core;
  size_t memory = 0;  // the most bytes of all; 0: by the machine's
  HttpOptions http;

  bool no_page = false;
  std::string host = "127.0.0.1";
  size_t port = 8080;
  std::string unix_socket;  // instead of host and port
  std::string key_file;
  bool no_auth = false;
  std::string certificate;
  std::string key;  // of the certificate
  size_t grace_seconds = 25;
  bool quiet = false;
  bool verbose = false;
};

void AddServeOptions(CLI::App& command, ServeOptions* options);

// Sets what depends on other options.
void FillDefaults(ServeOptions* options);

// An error if options contradict each other.
absl::Status CheckServe(const ServeOptions& options);

}  // namespace gemma::tools

#endif  // GEMMA_TOOLS_GEMMA_SERVE_SERVE_OPTIONS_H_
