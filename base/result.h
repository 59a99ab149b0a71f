// Errors are values at module boundaries.
//
// A message has four parts: where (site, file, line, field), what was expected, what was found,
// what to do next. It never contains a patient's value. Codes carry gRPC's canonical names so that
// the edge converts by one table.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace consilium {

enum class ErrorCode {
  kInvalidArgument,     // the input is wrong whatever the state
  kFailedPrecondition,  // the input is right but cannot be used now
  kOutOfRange,          // a number beyond its bound
  kNotFound,
  kAlreadyExists,
  kPermissionDenied,  // a disclosure rule, a role or an approval forbids it
  kResourceExhausted,
  kDataLoss,  // bytes are missing, damaged or were changed
  kUnavailable,
  kInternal,
};

// The canonical name, for example "INVALID_ARGUMENT".
[[nodiscard]] std::string_view Name(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

template <typename T>
using Result = tl::expected<T, Error>;

// Short form for `return Fail(ErrorCode::kNotFound, fmt::format(...))`.
[[nodiscard]] inline tl::unexpected<Error> Fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

// Puts where the error happened in front of it: "site MUMC: file a.csv: ...".
[[nodiscard]] Error Within(std::string_view where, Error error);

}  // namespace consilium

// Leaves the function with the error of `expression` (a Result<...>), or goes on.
// A Result that is already held is looked at, not copied.
#define CONSILIUM_TRY(expression)                                          \
  do {                                                                     \
    if (auto&& consilium_try_ = (expression); !consilium_try_) {           \
      return ::tl::unexpected<::consilium::Error>(consilium_try_.error()); \
    }                                                                      \
  } while (false)

// A broken invariant: aborts with a message, in release builds too.
#define CONSILIUM_CHECK(condition, what)                                                         \
  do {                                                                                           \
    if (!(condition)) ::consilium::AbortOnBrokenInvariant(#condition, what, __FILE__, __LINE__); \
  } while (false)

namespace consilium {
[[noreturn]] void AbortOnBrokenInvariant(const char* condition, std::string_view what,
                                         const char* file, int line);
}
