#include "src/serve/request/grammar_fields.h"

#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/serve/answer/json_writer.h"

namespace gemma::internal {
namespace {

using Kind = GrammarSource::Kind;
using MaybeGrammar = absl::StatusOr<std::optional<GrammarField>>;

GrammarField SchemaAt(const Json& field, std::string schema) {
  return {{.kind = Kind::kJsonSchema, .text = std::move(schema)},
          ParamOf(field)};
}

MaybeGrammar ReadSchema(const Json& json) {
  GEMMA_ASSIGN_OR_RETURN(Fields fields, Fields::Of(json));
  const std::optional<Json> schema = fields.Take("schema");
  fields.Ignore({"name", "description", "strict"});
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  if (!schema.has_value()) return fields.Missing("schema");
  return SchemaAt(*schema, CompactJson(*schema));
}

MaybeGrammar ReadFormat(const Json& json) {
  GEMMA_ASSIGN_OR_RETURN(Fields fields, Fields::Of(json));
  std::string type;
  GEMMA_RETURN_IF_ERROR(fields.ReadRequired("type", type));
  const std::optional<Json> schema = fields.Take("json_schema");
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  if (type == "json_schema") {
    if (!schema.has_value()) return fields.Missing("json_schema");
    return ReadSchema(*schema);
  }
  if (schema.has_value()) {
    return FieldError(*schema, "needs \"type\": \"json_schema\"");
  }
  if (type == "text") return std::nullopt;
  if (type == "json_object") {
    return SchemaAt(json, R"({"type": "object"})");
  }
  return FieldError(*json.Find("type"),
                    absl::StrCat("is ", Quoted(type),
                                 ", wanted 'text', 'json_object' or "
                                 "'json_schema'"));
}

}  // namespace

MaybeGrammar ReadGrammarFields(Fields& fields) {
  std::optional<GrammarField> found;
  if (const std::optional<Json> format = fields.Take("response_format");
      format.has_value()) {
    GEMMA_ASSIGN_OR_RETURN(found, ReadFormat(*format));
  }
  const auto read = [&](std::string_view name, Kind kind) {
    const std::optional<Json> field = fields.Take(name);
    if (!field.has_value()) return absl::OkStatus();
    if (found.has_value()) {
      return FieldError(*field,
                        "is a second restriction of the answer, wanted one of "
                        "response_format, regex and choice");
    }
    found = {{.kind = kind}, ParamOf(*field)};
    return AtField(kind == Kind::kRegex ? field->Get(found->source.text)
                                        : field->Get(found->source.choices),
                   *field);
  };
  GEMMA_RETURN_IF_ERROR(read("regex", Kind::kRegex));
  GEMMA_RETURN_IF_ERROR(read("choice", Kind::kChoices));
  return found;
}

}  // namespace gemma::internal
