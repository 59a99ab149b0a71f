// Handshakes that failed, as gRPC's own log has them: before a call there is nobody else who could
// say who knocked and why it was not let in.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace consilium::coordinator {

// Why a connection ended before anybody called, from what gRPC 1.51 and OpenSSL 3 say about it.
struct Stranger {
  std::string_view kind;
  std::string why;
};
// Of a line of gRPC's log; nothing if it is about something else. The raw text is repeated only
// where no words of ours fit, and cut.
[[nodiscard]] std::optional<Stranger> ReadHandshakeLog(std::string_view line);

}  // namespace consilium::coordinator
