// SHA-256 of bytes that arrive piece by piece.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <span>

#include "base/digest.h"

namespace consilium {

class Sha256Stream {
 public:
  Sha256Stream();
  void Append(std::span<const std::uint8_t> bytes);
  // Of everything that was appended, in order: equal to Sha256 of it in one piece. Once, and last.
  [[nodiscard]] Digest Finish();

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

}  // namespace consilium
