#include "console/screen.h"

#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

namespace consilium::console {

int CodeOf(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kNotFound:
    case ErrorCode::kResourceExhausted:
    case ErrorCode::kUnavailable:
    case ErrorCode::kDataLoss:
    case ErrorCode::kOutOfRange:
      return kInputWrong;
    case ErrorCode::kPermissionDenied:
      return kDisclosureRefused;
    case ErrorCode::kFailedPrecondition:
    case ErrorCode::kAlreadyExists:
      return kStudyRefused;
    case ErrorCode::kInternal:
      return kInternal;
  }
  return kInternal;
}

int CodeOfCall(const Error& error) {
  return error.code == ErrorCode::kUnavailable ? kUnreachable : CodeOf(error);
}

int Screen::Report(const Error& error, int code) const {
  if (json) {
    // What others wrote may be no UTF-8; an error must be told all the same.
    std::cout << nlohmann::json{{"event", "error"},
                                {"code", Name(error.code)},
                                {"exit", code},
                                {"message", error.message}}
                     .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
              << "\n";
  } else {
    fmt::print(stderr, "{}error{} {}: {}\n", terminal ? "\033[1;31m" : "",
               terminal ? "\033[0m" : "", Name(error.code), error.message);
  }
  return code;
}

void Screen::Note(std::string_view sentence) const {
  if (!json) fmt::print(stderr, "note: {}\n", sentence);
}

}  // namespace consilium::console
