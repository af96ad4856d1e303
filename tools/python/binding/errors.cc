#include "tools/python/binding/errors.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gemma/error_reason.h"
#include "tools/gemma/io/errors.h"
#include "tools/python/binding/gil.h"
#include "tools/python/binding/module.h"
#include "tools/python/binding/text.h"

namespace gemma::python {
namespace {

// The name of a reason in GemmaError.reason.
const char* ReasonName(ErrorReason reason) {
  switch (reason) {
    case ErrorReason::kNone:
      return "";
    case ErrorReason::kNotAModel:
      return "NOT_A_MODEL";
    case ErrorReason::kIncompleteFile:
      return "INCOMPLETE_FILE";
    case ErrorReason::kMissingPart:
      return "MISSING_PART";
    case ErrorReason::kMissingFile:
      return "MISSING_FILE";
    case ErrorReason::kOtherArchitecture:
      return "OTHER_ARCHITECTURE";
    case ErrorReason::kVisionTower:
      return "VISION_TOWER";
    case ErrorReason::kUnknownSizes:
      return "UNKNOWN_SIZES";
    case ErrorReason::kNoTokenizer:
      return "NO_TOKENIZER";
    case ErrorReason::kOutputFile:
      return "OUTPUT_FILE";
    case ErrorReason::kDamagedFile:
      return "DAMAGED_FILE";
    case ErrorReason::kAdapter:
      return "ADAPTER";
    case ErrorReason::kChatTemplate:
      return "CHAT_TEMPLATE";
    case ErrorReason::kNotFinite:
      return "NOT_FINITE";
    case ErrorReason::kUnreadGemma:
      return "UNREAD_GEMMA";
    case ErrorReason::kLfsPointer:
      return "LFS_POINTER";
    case ErrorReason::kWebPage:
      return "WEB_PAGE";
  }
  return "";
}

// Sets Python's error. The classes are in Python, where they can be read.
void SetError(const absl::Status& status) {
  std::string message(status.message());
  if (const std::string cure = tools::CureOf(status); !cure.empty()) {
    absl::StrAppend(&message, "; ", cure);
  }
  const nb::object error =
      nb::module_::import_("libgemma._errors")
          .attr("make_error")(Text(absl::StatusCodeToString(status.code())),
                              Text(message), ReasonName(ReasonOf(status)));
  PyErr_SetObject(error.type().ptr(), error.ptr());
}

}  // namespace

void AddErrors(nb::module_& m) {
  m.def("end_threads", &EndThreads,
        "Called when Python ends: other threads do not come back from C++.");
  nb::register_exception_translator([](const std::exception_ptr& error, void*) {
    try {
      std::rethrow_exception(error);
    } catch (const StatusError& status_error) {
      SetError(status_error.status());
    }
  });
}

}  // namespace gemma::python
