#include "tools/gemma/serve/serve_options.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "src/base/internal.h"
#include "tools/gemma/cli/option_error.h"
#include "tools/gemma/cli/options.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/texts/autoencoders.h"

namespace gemma::tools {
namespace {

constexpr size_t kMaxSeconds = 86400;
constexpr size_t kMaxMemory = 1'000'000'000'000'000;

// A client may fill half of it: with the most choices that a request may have
// (ServerOptions), or with two requests of /v1/moderations of the most texts.
constexpr size_t kMaxQueued = 256;

void AddAddress(CLI::App& command, ServeOptions* options) {
  AddText(command, "--host", "HOST", &options->host,
          "The address to listen on. Another than this machine's\n"
          "own needs --api-key-file or --no-auth")
      ->default_str(options->host);
  AddNumber(command, "--port", &options->port, 0, 65535,
            "The port to listen on; 0: a free one");
  AddText(command, "--unix-socket", "FILE", &options->unix_socket,
          "Listen on a Unix socket that only this user can use,\n"
          "instead of --host and --port");
  command.add_flag("--no-page", options->no_page,
                   "Do not serve the chat page, which browsers see at /");
}

void AddAccess(CLI::App& command, ServeOptions* options) {
  CLI::Option* keys =
      AddText(command, "--api-key-file", "FILE", &options->key_file,
              "Only answer requests with a key of FILE, one a line, as\n"
              "'Authorization: Bearer KEY'");
  command
      .add_flag("--no-auth", options->no_auth,
                "Listen on other addresses without keys: everybody who\n"
                "reaches them may use the models")
      ->excludes(keys);
  AccessRules& access = options->http.access;
  AddTexts(command, "--allow-host", "NAME", &access.hosts,
           "A further name under which clients reach the server;\n"
           "\"*\": any. Addresses, localhost and --host are known.\n"
           "May be repeated");
  AddTexts(command, "--cors", "ORIGIN", &access.origins,
           "Let web pages of this origin (https://example.com) use\n"
           "the server; \"*\": all pages. May be repeated");
  CLI::Option* certificate =
      AddText(command, "--tls-cert", "FILE", &options->certificate,
              "Speak HTTPS with the certificate in FILE (PEM)");
  CLI::Option* key = AddText(command, "--tls-key", "FILE", &options->key,
                             "The key of --tls-cert (PEM)");
  key->needs(certificate);
  certificate->needs(key);
}

void AddLimits(CLI::App& command, ServeOptions* options) {
  HttpLimits& http = options->http.limits;
  EngineOptions& engine = options->engine;
  engine.max_queued = kMaxQueued;
  engine.max_queued_per_client = 0;  // FillDefaults sets it
  AddNumber(command, "--max-queued", &engine.max_queued, 1, 1000000,
            "The most requests of a model that wait, each text of a\n"
            "request and each of its n answers counted (all texts to\n"
            "embed as one); further ones get status 429");
  AddNumber(command, "--max-queued-per-client", &engine.max_queued_per_client,
            1, 1000000,
            "The most requests of one client that wait: of a key, or\n"
            "of an address",
            "half of --max-queued");
  AddParsed(command, "--timeout", "X",
            "Time limit in seconds for each request, with the time\n"
            "in which it waits; 0: no limit",
            [options](const std::string& text) -> std::string {
              float seconds = 0;
              const std::string wanted =
                  ParseReal(absl::StripSuffix(text, "s"), &seconds);
              if (!wanted.empty() || seconds < 0 || seconds > 31536000) {
                return "a number of seconds from 0 to 31536000";
              }
              options->core.max_seconds = seconds;
              return "";
            })
      ->default_str("0");
  AddSize(command, "--max-body", &http.body_bytes, 1, size_t{1} << 30,
          "The largest body of a request, and a 32nd of what the\n"
          "server receives at once");
  AddSize(command, "--max-response", &options->core.max_response_bytes, 1,
          size_t{1} << 40,
          "The largest texts and log-probabilities together of a\n"
          "response that is not a stream; a larger one ends with\n"
          "status 400");
  AddNumber(command, "--max-connections", &http.connections, 1, 100000,
            "The most open connections; further ones get status 503");
  AddNumber(command, "--max-connections-per-address",
            &http.connections_per_address, 1, 100000,
            "The most open connections of one address");
  const auto seconds = [&](const std::string& name, size_t* value,
                           const std::string& description) {
    AddSeconds(command, name, value, 1, kMaxSeconds, description);
  };
  seconds("--head-timeout", &http.head_seconds,
          "Seconds in which the headers of a request must arrive");
  seconds("--body-timeout", &http.body_seconds,
          "Seconds in which its body must follow");
  seconds("--idle-timeout", &http.idle_seconds,
          "Seconds that a connection may be idle between requests");
  seconds("--write-timeout", &http.write_seconds,
          "Seconds in which a client may read nothing; then its\n"
          "request ends");
  seconds("--ping", &http.ping_seconds,
          "Seconds without an event after which a stream gets a\n"
          "comment");
  AddSeconds(command, "--grace", &options->grace_seconds, 0, kMaxSeconds,
             "Seconds in which requests may finish after SIGTERM or\n"
             "Ctrl-C; a second signal ends at once");
}

}  // namespace

void AddServeOptions(CLI::App& command, ServeOptions* options) {
  AddTextArguments(command, "MODEL", &options->models,
                   "Models to serve: each a GGUF file, a Hugging Face\n"
                   "directory, a .sbs file of gemma.cpp, or the name of a\n"
                   "pulled model (see gemma list). Clients name it by the\n"
                   "pulled name, or by the file's name without its ending;\n"
                   "NAME=MODEL gives another name")
      ->required();
  AddText(command, "--guard", "MODEL", &options->guard,
          "A ShieldGemma, which answers /v1/moderations; MODEL or\n"
          "NAME=MODEL, served as the others are");
  AddAddress(command, options);
  AddNumber(command, "--batch-size", &options->engine.max_sequences, 1,
            kMaxSequences, "Number of requests of a model computed together");
  AddModelSettings(command, &options->model, "4096");
  AddSize(command, "--memory", &options->memory, 1'000'000, kMaxMemory,
          "The most memory of all models together (6GB, 700MB):\n"
          "weights that are not in a mapped file, caches of\n"
          "requests, and what is kept for reuse")
      ->default_str("full batches, and up to 1 GiB a model for reuse");
  CLI::Option* sae =
      AddTexts(command, "--sae", "FILE[:SITE]", &options->autoencoders,
               "An autoencoder (gemma help sae explains FILE and SITE)\n"
               "of one of the models, for /v1/features and steering; may\n"
               "be repeated. Its name is its site, such as res@12;\n"
               "NAME=FILE[:SITE] gives another name");
  AddFeatureWeights(command, &options->sae_type)->needs(sae);
  AddChatTemplate(command, &options->model, /*needs_turns=*/true);
  AddAccess(command, options);
  AddLimits(command, options);
  command.add_flag("--log-prompts", options->http.logs_prompts,
                   "Also log the texts of requests");
  AddQuiet(command, &options->quiet);
  command.add_flag("-v,--verbose", options->verbose, "Also log connections");
}

void FillDefaults(ServeOptions* options) {
  EngineOptions& engine = options->engine;
  if (engine.max_queued_per_client == 0) {
    engine.max_queued_per_client = std::max<size_t>(1, engine.max_queued / 2);
  }
}

absl::Status CheckServe(const ServeOptions& options) {
  if (options.models.size() > 1 && !options.model.adapters.empty()) {
    return OptionError({"--lora", "MODEL"},
                       "--lora changes one model, and several are named");
  }
  if (options.model.chat_template == kNoTemplate) {
    return OptionError({"--chat-template"},
                       "--chat-template none: a server of chats needs turns");
  }
  for (const std::string& origin : options.http.access.origins) {
    const size_t scheme = origin.find("://");
    const bool has_path = scheme != std::string::npos &&
                          origin.find('/', scheme + 3) != std::string::npos;
    if (origin != "*" && (scheme == std::string::npos || has_path)) {
      return OptionError({"--cors"},
                         absl::StrCat("--cors '", origin,
                                      "' is not an origin, such as "
                                      "https://example.com, or \"*\""));
    }
  }
  return absl::OkStatus();
}

}  // namespace gemma::tools
