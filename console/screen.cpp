#include "console/screen.h"

#include <fmt/format.h>

#include <cstdio>

#include "program/program.h"

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

int Screen::Report(const Error& error, int code) const { return program::Tell(error, code, json); }

void Screen::Note(std::string_view sentence) const {
  if (!json) fmt::print(stderr, "note: {}\n", sentence);
}

}  // namespace consilium::console
