// gemma serve: answers HTTP requests in the form of OpenAI's API.

#include <openssl/crypto.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/version.hpp>
#include <cstdlib>  // __GLIBC__
#include <memory>
#include <string>
#include <utility>
#include <vector>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/internal.h"
#include "src/base/status_macros.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/signals.h"
#include "tools/gemma/serve/http_service.h"
#include "tools/gemma/serve/listen_socket.h"
#include "tools/gemma/serve/serve_memory.h"
#include "tools/gemma/serve/serve_options.h"
#include "tools/gemma/serve/served_models.h"

namespace gemma::tools {
namespace {

// How often freed memory goes back to the system.
constexpr int kReturnMilliseconds = 2000;

// What a server listens on.
struct Address {
  std::vector<ListenSocket> sockets;
  std::string text;  // for the user: a URL, or a file's name
};

absl::StatusOr<Address> Listen(const ServeOptions& options) {
  Address address;
  if (!options.unix_socket.empty()) {
    GEMMA_ASSIGN_OR_RETURN(ListenSocket socket,
                           ListenOnFile(options.unix_socket));
    address.sockets.push_back(std::move(socket));
    address.text = absl::StrCat("unix:", options.unix_socket);
    return address;
  }
  GEMMA_ASSIGN_OR_RETURN(
      TcpSockets tcp,
      ListenOnHost(options.host, static_cast<uint16_t>(options.port)));
  if (!tcp.is_local && options.key_file.empty() && !options.no_auth) {
    return WithCure(
        UsageError(absl::StrCat("--host ", options.host,
                                ": other machines could use the models "
                                "without a key")),
        "--api-key-file FILE asks for keys, --no-auth allows everybody");
  }
  address.sockets = std::move(tcp.sockets);
  address.text =
      absl::StrCat(options.certificate.empty() ? "http://" : "https://",
                   HostAndPort(options.host, tcp.port));
  return address;
}

// Notes that other users of the machine can read a secret.
void NoteOpenFile(const std::string& path) {
  struct stat file = {};
  if (stat(path.c_str(), &file) != 0 || (file.st_mode & S_IROTH) == 0) return;
  Note(absl::StrCat(path,
                    ": every user of this machine can read it (chmod 600)"));
}

// Whether a note would not wait. If nobody reads standard error, a server must
// still obey signals.
bool CanNote() {
  pollfd error = {STDERR_FILENO, POLLOUT, 0};
  return poll(&error, 1, /*timeout=*/0) == 1;
}

// Gives memory that requests have freed back to the system. glibc keeps pages
// between others that are in use, and so grows for hours.
void ReturnMemory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

// Reads the certificate and its key again, for new connections.
void ReadTlsAgain(const ServeOptions& options, HttpService& service) {
  absl::StatusOr<std::unique_ptr<TlsContext>> tls =
      MakeTlsContext(options.certificate, options.key);
  if (!tls.ok()) {
    if (!CanNote()) return;
    NoteError(tls.status());
    Note("the certificate from before stays in use");
    return;
  }
  service.SetTls(*std::move(tls));
  if (!options.quiet && CanNote()) {
    Note(absl::StrCat("read ", options.certificate, " again"));
  }
}

absl::Status Serve(ServeOptions options) {
  FillDefaults(&options);
  GEMMA_RETURN_IF_ERROR(CheckServe(options));
  if (!options.key_file.empty()) {
    GEMMA_ASSIGN_OR_RETURN(options.http.access.keys,
                           ApiKeys::Read(options.key_file));
    if (!options.quiet) NoteOpenFile(options.key_file);
  }
  std::unique_ptr<TlsContext> tls;
  if (!options.certificate.empty()) {
    GEMMA_ASSIGN_OR_RETURN(tls,
                           MakeTlsContext(options.certificate, options.key));
    if (!options.quiet) NoteOpenFile(options.key);
    AskOnHangup();
  }
  // Before models are loaded, which takes long for large ones.
  GEMMA_ASSIGN_OR_RETURN(std::vector<NamedModel> models,
                         FindServedModels(options));
  GEMMA_ASSIGN_OR_RETURN(options.core.max_memory_bytes,
                         FitMemory(options, models));
  GEMMA_ASSIGN_OR_RETURN(Address address, Listen(options));

  AccessRules& access = options.http.access;
  for (std::string& host : access.hosts) host = absl::AsciiStrToLower(host);
  access.hosts.push_back(absl::AsciiStrToLower(options.host));
  access.checks_host = options.unix_socket.empty();
  access.has_page = !options.no_page;
  options.http.log = options.quiet     ? LogLevel::kQuiet
                     : options.verbose ? LogLevel::kAll
                                       : LogLevel::kRequests;
  options.http.limits.connections =
      AllowConnections(options.http.limits.connections);
  options.core.max_body_bytes = options.http.limits.body_bytes;

  GEMMA_ASSIGN_OR_RETURN(Server server, Server::Create(options.core));
  // It answers health checks while models are loaded.
  GEMMA_ASSIGN_OR_RETURN(
      const std::unique_ptr<HttpService> service,
      HttpService::Start(server, options.http, std::move(address.sockets),
                         std::move(tls)));
  GEMMA_ASSIGN_OR_RETURN(std::vector<ServedModel> loaded,
                         LoadServedModels(options, std::move(models)));
  std::vector<std::string> names;
  for (ServedModel& model : loaded) {
    names.push_back(model.name);
    const absl::Status added = server.Add(std::move(model));
    if (absl::IsResourceExhausted(added)) {
      return WithCure(added, "give more --memory, or a smaller --context");
    }
    GEMMA_RETURN_IF_ERROR(added);
  }
  loaded.clear();
  server.Open();
  GEMMA_RETURN_IF_ERROR(WriteOutput(absl::StrCat(
      address.text, " serves ", absl::StrJoin(names, ", "), "\n")));

  pollfd interrupt = {InterruptFd(), POLLIN, 0};
  while (!Interrupted()) {
    if (poll(&interrupt, 1, kReturnMilliseconds) == 0) ReturnMemory();
    if (TakeHangup()) ReadTlsAgain(options, *service);
  }
  if (!options.quiet && CanNote()) {
    Note(absl::StrCat("ending within ", options.grace_seconds,
                      " s; a second signal ends at once"));
  }
  server.Drain();
  const size_t unfinished = service->Drain(options.grace_seconds);
  if (unfinished > 0 && !options.quiet && CanNote()) {
    Note(absl::StrCat(unfinished, " connections did not finish in time"));
  }
  return absl::OkStatus();
}

}  // namespace

void AddServe(CLI::App& app, Action* action) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* command = app.add_subcommand(
      "serve", "Answer HTTP requests in the form of OpenAI's API");
  AddServeOptions(*command, options.get());
  command->footer(
      R"(When the models are loaded, standard output receives one line: the URL, where
browsers find a chat page, and the names of the models. Standard error receives
a line for each request: time, client, method, path, status, bytes of the body,
seconds, request id. Texts of requests are not logged.

Requests of one connection are answered in order. If a client leaves, its
request ends within one pass of the model, whether it waits, is read or is
answered. A client that ends its own side of the connection has left: it only
gets a response that is complete. A client that reads its stream too slowly
loses only its own request.

The server is closed by default. It listens on this machine only; it answers
to addresses, to localhost, and to names that are given; pages of other
servers cannot use it. No request reads a file or opens a connection. With
--tls-cert, SIGHUP reads the certificate and its key again for new
connections; those that are open go on with the old ones.

Examples:
  gemma serve gemma-3-1b-it-q4
  gemma serve gemma-3-1b-it-q4 small=gemma-3-270m --port 8000
  gemma serve gemma-3-1b-it-q4 --guard shieldgemma-2b/
  gemma serve gemma-2-2b/ --sae width_16k/average_l0_82/params.npz:res@12

)");
  command->callback([=] { *action = [=] { return Serve(*options); }; });
}

Versions ServeVersions() {
  return {{"Boost", BOOST_LIB_VERSION},
          {"OpenSSL", OpenSSL_version(OPENSSL_VERSION_STRING)}};
}

}  // namespace gemma::tools
