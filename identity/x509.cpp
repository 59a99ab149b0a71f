#include "identity/x509.h"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>

namespace consilium::identity::x509 {
namespace {

constexpr int kRsaBitsMin = 2048;
constexpr int kRsaBitsMax = 8192;  // beyond, one signature costs longer than a round

Result<Certificate> ReadCertificateDer(const Bytes& der, std::string_view what) {
  if (der.size() > kCertificateBytesMax) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: a certificate has {} bytes; at most {} are read", what, der.size(),
                            kCertificateBytesMax));
  }
  const unsigned char* at = der.data();
  Certificate certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (certificate == nullptr || Der(certificate.get()) != der) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: a certificate in it is damaged (its DER does not decode, or not "
                            "back to the same bytes); fetch it again from where it was issued",
                            what));
  }
  return certificate;
}

}  // namespace

QuietErrors::~QuietErrors() { ERR_clear_error(); }

Result<std::vector<PemBlock>> ReadPem(std::string_view text, std::string_view what,
                                      std::size_t bytes_max, std::size_t blocks_max) {
  const QuietErrors quiet;
  if (text.size() > bytes_max) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: {} bytes long; at most {} are read",
                                                         what, text.size(), bytes_max));
  }
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  CONSILIUM_CHECK(bio != nullptr, "OpenSSL could not read from memory");
  std::vector<PemBlock> blocks;
  for (;;) {
    char* label = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long length = 0;
    ERR_clear_error();
    if (PEM_read_bio(bio.get(), &label, &header, &data, &length) != 1) {
      if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE && !blocks.empty()) break;
      return Fail(ErrorCode::kInvalidArgument,
                  blocks.empty() && text.find("-----BEGIN ") == std::string_view::npos
                      ? fmt::format("{}: not PEM text; expected a line -----BEGIN ...-----", what)
                      : fmt::format("{}: PEM block {} is damaged or cut short; copy the whole text "
                                    "again, from -----BEGIN to -----END",
                                    what, blocks.size() + 1));
    }
    const Text owned_label(label);
    const Text owned_header(header);
    const Buffer owned_data(data);
    if (blocks.size() == blocks_max) {
      OPENSSL_cleanse(data, static_cast<std::size_t>(length));
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}: more than {} PEM blocks", what, blocks_max));
    }
    blocks.push_back({label, Bytes(data, data + length), *header != '\0'});
    OPENSSL_cleanse(data, static_cast<std::size_t>(length));
  }
  return blocks;
}

std::string Content(BIO* bio) {
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio, &data);
  return length > 0 ? std::string(data, static_cast<std::size_t>(length)) : std::string();
}

Result<std::vector<Certificate>> ReadCertificates(std::string_view pem, std::string_view what) {
  const QuietErrors quiet;
  auto blocks = ReadPem(pem, what, kCertificatePemBytesMax, kCertificatesMax);
  if (!blocks) return tl::unexpected<Error>(std::move(blocks).error());
  std::vector<Certificate> certificates;
  for (PemBlock& block : *blocks) {
    if (block.label == "CERTIFICATE" && !block.has_headers) {
      auto certificate = ReadCertificateDer(block.bytes, what);
      if (!certificate) return tl::unexpected<Error>(std::move(certificate).error());
      certificates.push_back(std::move(*certificate));
    }
    OPENSSL_cleanse(block.bytes.data(), block.bytes.size());
  }
  if (certificates.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: no certificate; expected a block -----BEGIN CERTIFICATE-----, "
                            "found {}",
                            what, Quoted(blocks->front().label)));
  }
  return certificates;
}

Result<std::string> WriteCertificate(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || PEM_write_bio_X509(bio.get(), certificate) != 1) {
    return Fail(ErrorCode::kInternal, "OpenSSL could not write a certificate");
  }
  return Content(bio.get());
}

Bytes Der(const X509* certificate) {
  unsigned char* data = nullptr;
  const int length = i2d_X509(certificate, &data);
  const Buffer owned(data);
  return length > 0 ? Bytes(data, data + length) : Bytes();
}

Result<Key> ReadKey(std::string_view pem) {
  const QuietErrors quiet;
  auto blocks = ReadPem(pem, "private key", kKeyPemBytesMax, 4);
  if (!blocks) return tl::unexpected<Error>(std::move(blocks).error());
  Key key;
  bool found = false;
  bool locked = false;
  for (PemBlock& block : *blocks) {
    if (!found && block.label.ends_with("PRIVATE KEY")) {
      found = true;
      locked = block.has_headers || block.label == "ENCRYPTED PRIVATE KEY";
      const unsigned char* at = block.bytes.data();
      if (!locked) {
        key.reset(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(block.bytes.size())));
      }
    }
    OPENSSL_cleanse(block.bytes.data(), block.bytes.size());
  }
  if (locked) {
    return Fail(ErrorCode::kFailedPrecondition,
                "the private key is locked with a passphrase; unlock it first");
  }
  if (key == nullptr) {
    return Fail(ErrorCode::kInvalidArgument,
                found ? "the private key is damaged, or of a kind that OpenSSL does not know"
                      : "no private key; expected a block -----BEGIN PRIVATE KEY-----");
  }
  return key;
}

Result<std::string> KeyType(const EVP_PKEY* key, std::string_view what) {
  const auto refuse = [&](std::string_view found) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: its key is {}; expected P-256, P-384, Ed25519 or RSA of {} to {} "
                            "bits",
                            what, found, kRsaBitsMin, kRsaBitsMax));
  };
  if (key == nullptr) return refuse("damaged or unknown to OpenSSL");
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_ED25519:
      return "Ed25519";
    case EVP_PKEY_RSA: {
      const int bits = EVP_PKEY_get_bits(key);
      if (bits < kRsaBitsMin || bits > kRsaBitsMax) return refuse(fmt::format("RSA of {}", bits));
      return fmt::format("RSA {}", bits);
    }
    case EVP_PKEY_EC: {
      // Curve parameters spelled out could be another curve than they seem (CVE-2020-0601).
      int is_explicit = 1;
      std::array<char, 64> group{};
      std::size_t length = 0;
      if (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                                 &is_explicit) != 1 ||
          is_explicit != 0 ||
          EVP_PKEY_get_group_name(key, group.data(), group.size(), &length) != 1) {
        return refuse("on a curve without a name");
      }
      const std::string_view name(group.data(), length);
      if (name == SN_X9_62_prime256v1) return "P-256";
      if (name == SN_secp384r1) return "P-384";
      return refuse(fmt::format("on curve {}", name));
    }
    default: {
      const char* name = EVP_PKEY_get0_type_name(key);
      return refuse(name == nullptr ? "of another type" : name);
    }
  }
}

const EVP_MD* SigningDigest(const EVP_PKEY* key) {
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
}

Digest PublicKeyDigest(X509_PUBKEY* key) {
  unsigned char* data = nullptr;
  const int length = i2d_X509_PUBKEY(key, &data);
  const Buffer owned(data);
  CONSILIUM_CHECK(length > 0, "OpenSSL could not encode a public key that it decoded");
  return Sha256(std::span<const std::uint8_t>(data, static_cast<std::size_t>(length)));
}

Result<std::string> OnlyEntry(const X509_NAME* name, int nid, std::string_view what) {
  const int first = X509_NAME_get_index_by_NID(name, nid, -1);
  const auto refuse = [&](std::string_view found) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: its subject has {} {}; expected exactly one", what, found,
                            OBJ_nid2sn(nid)));
  };
  if (first < 0) return refuse("no");
  if (X509_NAME_get_index_by_NID(name, nid, first) >= 0) return refuse("several");
  unsigned char* data = nullptr;
  const int length =
      ASN1_STRING_to_UTF8(&data, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, first)));
  const Buffer owned(data);
  if (length < 0) return refuse("an unreadable");
  return std::string(data, data + length);
}

bool AddEntry(X509_NAME* name, int nid, std::string_view text) {
  return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) == 1;
}

Result<void> Randomize(std::span<std::uint8_t> bytes) {
  const QuietErrors quiet;
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    return Fail(ErrorCode::kUnavailable, "OpenSSL has no random bytes; its source is not seeded");
  }
  return {};
}

}  // namespace consilium::identity::x509
