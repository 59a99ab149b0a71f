// TLS 1.3 and nothing older, for every TLS context that this process will make.
//
// gRPC 1.51 has no option for it and sets TLS 1.2 as its own minimum; what OpenSSL's configuration
// says about a context is applied after the defaults and before gRPC's, and options (unlike the
// minimum) are kept. Source: config(5ssl), "SSL Configuration"; SSL_CONF_cmd(3ssl).
#pragma once

#include "base/result.h"

namespace consilium::identity {

// Call at the beginning of main, before anything uses TLS; replaces the system's OpenSSL
// configuration for this process. Errors: kInternal (OpenSSL did not take it).
[[nodiscard]] Result<void> RequireTls13();

}  // namespace consilium::identity
