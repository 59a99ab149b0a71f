#include "identity/tls13.h"

#include <openssl/bio.h>
#include <openssl/conf.h>
#include <openssl/crypto.h>

#include <memory>
#include <string_view>

namespace consilium::identity {
namespace {

constexpr std::string_view kConfiguration =
    "openssl_conf = consilium\n"
    "[consilium]\n"
    "ssl_conf = contexts\n"
    "[contexts]\n"
    "system_default = every_context\n"
    "[every_context]\n"
    "MinProtocol = TLSv1.3\n"
    "Protocol = -SSLv3, -TLSv1, -TLSv1.1, -TLSv1.2\n";

}  // namespace

Result<void> RequireTls13() {
  // Without reading the system's file: it might allow what we do not.
  if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr) != 1)
    return Fail(ErrorCode::kInternal, "OpenSSL cannot be initialised");
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(
      BIO_new_mem_buf(kConfiguration.data(), static_cast<int>(kConfiguration.size())), &BIO_free);
  const std::unique_ptr<CONF, decltype(&NCONF_free)> conf(NCONF_new(nullptr), &NCONF_free);
  long line = 0;
  if (!text || !conf || NCONF_load_bio(conf.get(), text.get(), &line) != 1 ||
      CONF_modules_load(conf.get(), nullptr, CONF_MFLAGS_DEFAULT_SECTION) != 1) {
    return Fail(ErrorCode::kInternal,
                "OpenSSL does not take the configuration that forbids TLS 1.2 and older");
  }
  return {};
}

}  // namespace consilium::identity
