// SHA-256 of bytes that arrive piece by piece.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/digest.h"

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX

namespace consilium {

class Sha256Stream {
 public:
  Sha256Stream();
  void Append(std::span<const std::uint8_t> bytes);
  // Of everything that was appended, in order: equal to Sha256 of it in one piece. Once, and last.
  [[nodiscard]] Digest Finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace consilium
