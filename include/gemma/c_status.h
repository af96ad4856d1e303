/* Results of calls, for C: numbers, their names, and the last error. */

#ifndef GEMMA_C_STATUS_H_
#define GEMMA_C_STATUS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gemma/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The list of all results: X(name, number). The names and numbers are those of
 * absl::StatusCode. */
#define GEMMA_STATUSES(X)   \
  X(OK, 0)                  \
  X(CANCELLED, 1)           \
  X(UNKNOWN, 2)             \
  X(INVALID_ARGUMENT, 3)    \
  X(DEADLINE_EXCEEDED, 4)   \
  X(NOT_FOUND, 5)           \
  X(ALREADY_EXISTS, 6)      \
  X(PERMISSION_DENIED, 7)   \
  X(RESOURCE_EXHAUSTED, 8)  \
  X(FAILED_PRECONDITION, 9) \
  X(ABORTED, 10)            \
  X(OUT_OF_RANGE, 11)       \
  X(UNIMPLEMENTED, 12)      \
  X(INTERNAL, 13)           \
  X(UNAVAILABLE, 14)        \
  X(DATA_LOSS, 15)          \
  X(UNAUTHENTICATED, 16)

/* The result of a call: GEMMA_OK, GEMMA_CANCELLED and so on. Functions return
 * only these values. If memory runs out, it is GEMMA_RESOURCE_EXHAUSTED. */
typedef enum gemma_status {
#define GEMMA_STATUS_VALUE(name, number) GEMMA_##name = number,
  GEMMA_STATUSES(GEMMA_STATUS_VALUE)
#undef GEMMA_STATUS_VALUE
} gemma_status;

/* Returns a status's name without the prefix, for example "NOT_FOUND", or
 * "UNKNOWN" for any other number. Valid forever. */
GEMMA_EXPORT const char* gemma_status_name(gemma_status status);

/* Returns the message of the calling thread's last failure, one line of at most
 * 4095 bytes, or "" if no call has failed. Valid until the thread's next
 * call. */
GEMMA_EXPORT const char* gemma_last_error(void);

/* The list of all reasons for failures: X(name, number). They are those of
 * gemma::ErrorReason; gemma/error_reason.h says what they mean. */
#define GEMMA_REASONS(X)   \
  X(NONE, 0)               \
  X(NOT_A_MODEL, 1)        \
  X(INCOMPLETE_FILE, 2)    \
  X(MISSING_PART, 3)       \
  X(MISSING_FILE, 4)       \
  X(OTHER_ARCHITECTURE, 5) \
  X(VISION_TOWER, 6)       \
  X(UNKNOWN_SIZES, 7)      \
  X(NO_TOKENIZER, 8)       \
  X(OUTPUT_FILE, 9)        \
  X(DAMAGED_FILE, 10)      \
  X(ADAPTER, 11)           \
  X(CHAT_TEMPLATE, 12)     \
  X(NOT_FINITE, 13)        \
  X(UNREAD_GEMMA, 14)      \
  X(LFS_POINTER, 15)       \
  X(WEB_PAGE, 16)

/* The reason for a failure, beyond its status: GEMMA_REASON_NONE and so on. */
typedef enum gemma_reason {
#define GEMMA_REASON_VALUE(name, number) GEMMA_REASON_##name = number,
  GEMMA_REASONS(GEMMA_REASON_VALUE)
#undef GEMMA_REASON_VALUE
} gemma_reason;

/* Returns a reason's name without the prefix, or "NONE" for any other number.
 * Valid forever. */
GEMMA_EXPORT const char* gemma_reason_name(gemma_reason reason);

/* Returns the reason for the calling thread's last failure. */
GEMMA_EXPORT gemma_reason gemma_last_reason(void);

/* Returns the library's version, for example "0.1.0". */
GEMMA_EXPORT const char* gemma_version(void);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* GEMMA_C_STATUS_H_ */
