#include "src/serve/grammar_fields.h"

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/messages.h"
#include "src/base/status_macros.h"
#include "src/serve/json_writer.h"

namespace gemma::internal {
namespace {

using MaybeGrammar = absl::StatusOr<std::optional<Grammar>>;

MaybeGrammar Made(absl::StatusOr<Grammar> grammar, const Json& field) {
  if (grammar.ok()) return *std::move(grammar);
  return AtField(absl::Status(grammar.status().code(),
                              absl::StrCat("'", ParamOf(field),
                                           "': ", grammar.status().message())),
                 field);
}

MaybeGrammar ReadSchema(const Json& json) {
  GEMMA_ASSIGN_OR_RETURN(Fields fields, Fields::Of(json));
  const std::optional<Json> schema = fields.Take("schema");
  fields.Ignore({"name", "description", "strict"});
  GEMMA_RETURN_IF_ERROR(fields.RefuseOthers());
  if (!schema.has_value()) return fields.Missing("schema");
  return Made(Grammar::FromJsonSchema(CompactJson(*schema)), *schema);
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
    return Made(Grammar::FromJsonSchema(R"({"type": "object"})"), json);
  }
  return FieldError(*json.Find("type"),
                    absl::StrCat("is ", Quoted(type),
                                 ", wanted 'text', 'json_object' or "
                                 "'json_schema'"));
}

}  // namespace

MaybeGrammar ReadGrammarFields(Fields& fields) {
  std::optional<Grammar> grammar;
  const std::optional<Json> format = fields.Take("response_format");
  if (format.has_value()) {
    GEMMA_ASSIGN_OR_RETURN(grammar, ReadFormat(*format));
  }
  const auto refuse_second = [&](const Json& json) {
    return FieldError(json,
                      "is a second restriction of the answer, wanted one of "
                      "response_format, regex and choice");
  };
  if (const std::optional<Json> regex = fields.Take("regex");
      regex.has_value()) {
    if (grammar.has_value()) return refuse_second(*regex);
    std::string_view expression;
    GEMMA_RETURN_IF_ERROR(AtField(regex->Get(expression), *regex));
    GEMMA_ASSIGN_OR_RETURN(grammar,
                           Made(Grammar::FromRegex(expression), *regex));
  }
  if (const std::optional<Json> choice = fields.Take("choice");
      choice.has_value()) {
    if (grammar.has_value()) return refuse_second(*choice);
    std::vector<std::string> texts;
    GEMMA_RETURN_IF_ERROR(AtField(choice->Get(texts), *choice));
    GEMMA_ASSIGN_OR_RETURN(grammar, Made(Grammar::FromChoices(texts), *choice));
  }
  return grammar;
}

}  // namespace gemma::internal
