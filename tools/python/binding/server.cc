// The protocol core: gemma/serve.h for Python.

#include "gemma/serve.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tools/python/binding/arguments.h"
#include "tools/python/binding/bound.h"
#include "tools/python/binding/engine_options.h"
#include "tools/python/binding/errors.h"
#include "tools/python/binding/gil.h"
#include "tools/python/binding/inbox.h"
#include "tools/python/binding/memory.h"
#include "tools/python/binding/model.h"
#include "tools/python/binding/module.h"
#include "tools/python/binding/text.h"

namespace gemma::python {
namespace {

using namespace nb::literals;

using Headers = std::vector<std::pair<nb::bytes, nb::bytes>>;
using NamedAutoencoders =
    std::vector<std::pair<std::string, SparseAutoencoder>>;

std::string StringOf(const nb::bytes& bytes) {
  return std::string(bytes.c_str(), bytes.size());
}
nb::bytes BytesOf(const std::string& text) {
  return nb::bytes(text.data(), text.size());
}

// Returns (head or None, bytes of the body, whether the response has ended);
// head is (status, headers, whether it is a stream).
nb::tuple TakeOutput(const Bound<Exchange>& exchange) {
  const Exchange::Output output = exchange.get()->Take();
  nb::object head = nb::none();
  if (output.has_head) {
    Headers headers;
    for (const auto& [name, value] : output.head.headers) {
      headers.emplace_back(BytesOf(name), BytesOf(value));
    }
    head = nb::make_tuple(output.head.status, headers, output.head.is_stream);
  }
  return nb::make_tuple(head, BytesOf(output.body), output.ended);
}

Bound<Server> CreateServer(const nb::dict& options) {
  Arguments arguments(options);
  ServerOptions server;
  arguments.Read("max_body_bytes", &server.max_body_bytes);
  arguments.Read("max_waiting_bytes", &server.max_waiting_bytes);
  arguments.Read("max_memory_bytes", &server.max_memory_bytes);
  arguments.Read("max_stream_bytes", &server.max_stream_bytes);
  arguments.Read("max_response_bytes", &server.max_response_bytes);
  arguments.Read("max_choices", &server.max_choices);
  arguments.Read("max_seconds", &server.max_seconds);
  arguments.RefuseOthers();
  return Bound<Server>("the server", ValueOrThrow(Server::Create(server)));
}

void AddServed(const Bound<Server>& bound, const std::string& name,
               const BoundModel& model, const nb::dict& options, bool moderates,
               const NamedAutoencoders& autoencoders) {
  const std::shared_ptr<Server> server = bound.get();
  ServedModel served = {.name = name, .model = *model.get()};
  Arguments arguments(options);
  served.options = ReadEngineOptions(arguments);
  arguments.RefuseOthers();
  served.moderates = moderates;
  for (const auto& [its_name, autoencoder] : autoencoders) {
    served.autoencoders.push_back({its_name, autoencoder});
  }
  absl::Status status;
  {
    const WithoutGil release;
    status = server->Add(std::move(served));
  }
  ThrowIfError(std::move(status));
}

Bound<Exchange> HandleRequest(const Bound<Server>& bound,
                              const nb::bytes& method, const nb::bytes& target,
                              const Headers& headers, const nb::bytes& body,
                              const nb::str& client, const Inbox& inbox,
                              uint64_t tag) {
  const std::shared_ptr<Server> server = bound.get();
  HttpRequest request;
  request.method = StringOf(method);
  request.target = StringOf(target);
  for (const auto& [name, value] : headers) {
    request.headers.emplace_back(StringOf(name), StringOf(value));
  }
  request.body = StringOf(body);
  request.client = Utf8(client);
  std::optional<absl::StatusOr<Exchange>> exchange;
  {
    const WithoutGil release;
    exchange =
        server->Handle(std::move(request), [inbox, tag] { inbox.Put(tag); });
  }
  return Bound<Exchange>("the exchange", ValueOrThrow(*std::move(exchange)));
}

void AddExchange(nb::module_& m) {
  nb::class_<Bound<Exchange>>(m, "Exchange", "A request and its response.")
      .def("take", TakeOutput,
           "Returns what has come of the response since the last call: (head, "
           "body, ended). head is None or, once, (status, headers, is_stream); "
           "body and headers are bytes.")
      .def(
          "ping", [](const Bound<Exchange>& self) { self.get()->Ping(); },
          "Adds a comment to a stream, so that its connection is in use.")
      .def("close", &Bound<Exchange>::Close, "Ends the request.");
}

// name, model, options of its engine, is_loaded and moderates
using Planned =
    std::tuple<std::string, const BoundModel*, nb::dict, bool, bool>;

uint64_t CheckTogether(const std::vector<Planned>& all, uint64_t max_bytes) {
  std::vector<std::shared_ptr<Model>> models;
  std::vector<PlannedEngine> engines;
  for (const auto& [name, model, options, is_loaded, moderates] : all) {
    models.push_back(model->get());
    Arguments arguments(options);
    PlannedEngine planned = {.model = models.back().get(),
                             .name = name,
                             .options = ReadEngineOptions(arguments),
                             .is_loaded = is_loaded,
                             .moderates = moderates};
    if (!arguments.Take("context").is_valid()) {
      planned.options.max_tokens = DefaultContext(*planned.model);
    }
    arguments.RefuseOthers();
    engines.push_back(std::move(planned));
  }
  MemoryLeft left;
  ThrowIfError(CheckMemory(engines, max_bytes, &left));
  return left.bytes;
}

}  // namespace

void AddServer(nb::module_& m) {
  AddExchange(m);
  nb::class_<Bound<Server>>(m, "Server",
                            "OpenAI's API for models, without sockets.")
      .def_static("create", CreateServer, "options"_a, "Returns a server.")
      .def("add", AddServed, "name"_a, "model"_a, "options"_a, nb::kw_only(),
           "moderates"_a = false, "autoencoders"_a = NamedAutoencoders(),
           "Adds a model, with an engine of its own; a ShieldGemma if it "
           "moderates. autoencoders: pairs of a name and a SparseAutoencoder.")
      .def(
          "open", [](const Bound<Server>& self) { self.get()->Open(); },
          "From now on, requests of models are answered.")
      .def(
          "drain", [](const Bound<Server>& self) { self.get()->Drain(); },
          "From now on, new requests of models are refused.")
      .def("handle", HandleRequest, "method"_a, "target"_a, "headers"_a,
           "body"_a, "client"_a, "inbox"_a, "tag"_a,
           "Begins a request and returns its Exchange. The inbox gets the tag "
           "whenever Exchange.take has something to return.")
      .def("close", &Bound<Server>::Close,
           "Ends all requests and waits until they have ended.")
      .def_prop_ro("closed", &Bound<Server>::closed);
  m.def("check_memory", CheckTogether, "engines"_a, "max_bytes"_a,
        "Checks that models and engines fit in memory together, and returns "
        "the bytes that they leave, or 2**64 - 1 if that is unknown. engines: "
        "(name, model, options, is_loaded, moderates) of each; max_bytes: a "
        "limit of all, or 0.");
}

}  // namespace gemma::python
