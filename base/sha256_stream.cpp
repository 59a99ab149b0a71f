#include "base/sha256_stream.h"

#include <openssl/evp.h>

namespace consilium {

void Sha256Stream::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256Stream::Sha256Stream() : context_(EVP_MD_CTX_new()) {
  CONSILIUM_CHECK(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1,
                  "SHA-256 is not available from OpenSSL");
}

void Sha256Stream::Append(std::span<const std::uint8_t> bytes) {
  CONSILIUM_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1,
                  "SHA-256 does not go on");
}

Digest Sha256Stream::Finish() {
  Digest digest;
  unsigned int length = 0;
  const int ok = EVP_DigestFinal_ex(context_.get(), digest.bytes.data(), &length);
  CONSILIUM_CHECK(ok == 1 && length == digest.bytes.size(), "SHA-256 does not come to its end");
  return digest;
}

}  // namespace consilium
