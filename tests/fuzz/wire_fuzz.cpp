// Any bytes as a message of a site or of a coordinator: decoded or refused, never a crash, and what
// is decoded encodes to the same values.
#include <consilium/v1/consilium.pb.h>

#include <cstdlib>
#include <span>

#include "federation/wire/wire.h"
#include "study/submission.h"

namespace {

template <typename Proto>
void Try(const std::uint8_t* data, std::size_t size) {
  using namespace consilium;  // NOLINT
  Proto proto;
  if (!proto.ParseFromArray(data, static_cast<int>(size))) return;
  const auto value = wire::Decode(proto);
  if (!value) return;
  Proto again;
  wire::Encode(*value, again);
  if (!wire::Decode(again)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace consilium;  // NOLINT
  if (size == 0) return 0;
  switch (data[0] % 6) {
    case 0:
      Try<v1::FromSite>(data + 1, size - 1);
      break;
    case 1:
      Try<v1::ToSite>(data + 1, size - 1);
      break;
    case 2:
      Try<v1::AnswerHead>(data + 1, size - 1);
      break;
    case 3:
      Try<v1::EnrollRequest>(data + 1, size - 1);
      break;
    case 4:
      Try<v1::EnrollReply>(data + 1, size - 1);
      break;
    default:
      (void)study::DecodeSubmission(std::span(data + 1, size - 1));
  }
  return 0;
}
