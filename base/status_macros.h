// Early returns for absl::Status and absl::StatusOr.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define TORII_RETURN_IF_ERROR(expr)                                 \
  do {                                                              \
    if (absl::Status torii_status_ = (expr); !torii_status_.ok()) { \
      return torii_status_;                                         \
    }                                                               \
  } while (false)

#define TORII_STATUS_CONCAT_INNER(a, b) a##b
#define TORII_STATUS_CONCAT(a, b) TORII_STATUS_CONCAT_INNER(a, b)

// TORII_ASSIGN_OR_RETURN(auto x, MakeX());
#define TORII_ASSIGN_OR_RETURN(lhs, expr) \
  TORII_ASSIGN_OR_RETURN_INNER(TORII_STATUS_CONCAT(torii_or_, __LINE__), lhs, expr)
#define TORII_ASSIGN_OR_RETURN_INNER(statusor, lhs, expr) \
  auto statusor = (expr);                                 \
  if (!statusor.ok()) {                                   \
    return std::move(statusor).status();                  \
  }                                                       \
  lhs = std::move(statusor).value()
