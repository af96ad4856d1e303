// gemma list: lists the pulled models.

#include <algorithm>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/base/internal.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "tools/gemma/cli/common_options.h"
#include "tools/gemma/commands.h"
#include "tools/gemma/io/errors.h"
#include "tools/gemma/io/files.h"
#include "tools/gemma/io/text.h"
#include "tools/gemma/machine/report_head.h"
#include "tools/gemma/pull/catalogue.h"
#include "tools/gemma/pull/model_store.h"
#include "tools/gemma/pull/resolve.h"

namespace gemma::tools {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct ListOptions {
  std::string format = "text";
  bool all = false;
};

// A model that is in the store (`stored`), in the catalogue (`known`) or both.
struct Row {
  const StoredModel* stored = nullptr;
  const CatalogueEntry* known = nullptr;
};

// The pulled models and then, with --all, the rest of the catalogue.
std::vector<Row> MakeRows(const std::vector<StoredModel>& models, bool all) {
  std::vector<Row> rows;
  for (const StoredModel& model : models) {
    const CatalogueEntry* known = FindInCatalogue(model.name);
    // The user may have given this name to a different model.
    if (known != nullptr && known->source != model.source) known = nullptr;
    rows.push_back({&model, known});
  }
  if (!all) return rows;
  for (const CatalogueEntry& entry : Catalogue()) {
    const bool is_here = std::any_of(
        models.begin(), models.end(),
        [&](const StoredModel& model) { return model.name == entry.name; });
    if (!is_here) rows.push_back({nullptr, &entry});
  }
  return rows;
}

OrderedJson RowJson(const Row& row, const ModelStore& store) {
  OrderedJson json = {
      {"name", nullptr},     {"kind", nullptr},        {"bytes", nullptr},
      {"memory", nullptr},   {"path", nullptr},        {"pulled_at", nullptr},
      {"complete", false},   {"bytes_here", 0},        {"source", nullptr},
      {"revision", nullptr}, {"description", nullptr}, {"licence", nullptr},
      {"gated", nullptr}};
  if (row.known != nullptr) {
    json["name"] = row.known->name;
    json["bytes"] = row.known->bytes;
    json["memory"] = row.known->memory_megabytes * 1'000'000;
    json["source"] = row.known->source;
    json["description"] = row.known->description;
    json["licence"] = row.known->licence;
    if (row.known->gated != Gated::kUnknown) {
      json["gated"] = row.known->gated == Gated::kYes;
    }
  }
  if (row.stored != nullptr) {
    json["name"] = row.stored->name;
    json["kind"] = row.stored->kind();
    if (row.stored->bytes() != 0) json["bytes"] = row.stored->bytes();
    json["path"] = store.PathOf(*row.stored);
    json["pulled_at"] = row.stored->pulled_at;
    json["complete"] = row.stored->complete;
    json["bytes_here"] = store.BytesHere(*row.stored);
    json["source"] = row.stored->source;
    if (!row.stored->revision.empty()) {
      json["revision"] = row.stored->revision;
    }
  }
  return json;
}

std::string ShowJson(const std::vector<Row>& rows, const ModelStore& store) {
  OrderedJson json = ReportHead();
  json["directory"] = store.directory();
  OrderedJson& models = json["models"] = OrderedJson::array();
  for (const Row& row : rows) models.push_back(RowJson(row, store));
  return ToText(json);
}

std::string_view TitleOf(Gated gated) {
  switch (gated) {
    case Gated::kNo:
      return "Open";
    case Gated::kYes:
      return "Gated: accept the terms at huggingface.co, and set HF_TOKEN";
    case Gated::kUnknown:
      return "Not checked: may be gated; HF_TOKEN then opens them";
  }
  return "";
}

// The model's path without the folder that the heading names.
std::string PathIn(const ModelStore& store, const StoredModel& model) {
  const std::string path = store.PathOf(model);
  const std::string folder = absl::StrCat(store.directory(), "/");
  return Printable(
      absl::StartsWith(path, folder) ? path.substr(folder.size()) : path,
      kUncut);
}

using Cells = std::vector<std::string>;

// Appends lines of cells in columns.
void AppendTable(const std::vector<Cells>& lines, std::string* text) {
  std::vector<size_t> widths(lines[0].size(), 0);
  for (const Cells& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) {
      widths[i] = std::max(widths[i], line[i].size());
    }
  }
  for (const Cells& line : lines) {
    for (size_t i = 0; i + 1 < line.size(); ++i) {
      absl::StrAppendFormat(text, "%-*s  ", static_cast<int>(widths[i]),
                            line[i]);
    }
    absl::StrAppend(text, line.back(), "\n");
  }
}

// Appends the models of the catalogue that are not pulled, in groups.
void AppendCatalogue(const std::vector<Row>& rows, std::string* text) {
  for (const Gated gated : {Gated::kNo, Gated::kYes, Gated::kUnknown}) {
    std::vector<Cells> lines;
    for (const Row& row : rows) {
      if (row.stored != nullptr || row.known->gated != gated) continue;
      const CatalogueEntry& known = *row.known;
      lines.push_back(
          {std::string(known.name),
           absl::StrCat(known.sha256.empty() ? "~" : "", Bytes(known.bytes)),
           absl::StrCat("~", Bytes(known.memory_megabytes * 1'000'000)),
           std::string(known.description)});
    }
    if (lines.empty()) continue;
    lines.insert(lines.begin(), {"NAME", "DOWNLOAD", "MEMORY", "MODEL"});
    absl::StrAppend(text, text->empty() ? "" : "\n", TitleOf(gated), "\n");
    AppendTable(lines, text);
  }
}

std::string ShowText(const std::vector<Row>& rows, const ModelStore& store,
                     bool all) {
  std::vector<Cells> lines = {
      {"NAME", "KIND", "SIZE", "PULLED",
       absl::StrCat("PATH in ", Printable(store.directory(), kUncut))}};
  const std::time_t now = std::time(nullptr);
  for (const Row& row : rows) {
    if (row.stored == nullptr) continue;
    const StoredModel& stored = *row.stored;
    lines.push_back(
        {stored.name, std::string(stored.kind()),
         stored.bytes() == 0 ? "unknown" : Bytes(stored.bytes()),
         stored.complete
             ? Printable(Age(stored.pulled_at, now))
             : absl::StrCat("incomplete, ", Bytes(store.BytesHere(stored)),
                            " here"),
         PathIn(store, stored)});
  }
  std::string text;
  if (!all || lines.size() > 1) AppendTable(lines, &text);
  if (all) AppendCatalogue(rows, &text);
  return text;
}

absl::Status List(const ListOptions& options) {
  GEMMA_ASSIGN_OR_RETURN(const ModelStore store, ModelStore::Open());
  const std::vector<StoredModel> models = store.List();
  const std::vector<Row> rows = MakeRows(models, options.all);
  const bool is_json = options.format == "json";
  if (models.empty() && !options.all && !is_json) Note(ModelsAtHand());
  return WriteOutput(is_json ? ShowJson(rows, store)
                             : ShowText(rows, store, options.all));
}

}  // namespace

void AddList(CLI::App& app, Action* action) {
  auto options = std::make_shared<ListOptions>();
  CLI::App* command = app.add_subcommand("list", "List the pulled models");
  command->add_flag("-a,--all", options->all,
                    "Also list the models that gemma pull knows by name:\n"
                    "what is open and what needs a token, the size of the\n"
                    "download, and the memory that a chat needs");
  AddForms(*command, &options->format);
  command->footer(
      R"(Examples:
  gemma list --all
  gemma list --json

A download that stopped is incomplete: gemma pull NAME continues it.

)");
  command->callback([=] { *action = [=] { return List(*options); }; });
}

}  // namespace gemma::tools
