#include "identity/private_key.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include "identity/x509.h"

namespace consilium::identity {
namespace {

constexpr int kRounds = 600'000;  // OWASP Password Storage Cheat Sheet, 2023, for HMAC-SHA-256
constexpr int kSaltBytes = 16;

using KeyInfo = x509::Owned<PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free>;
using Locked = x509::Owned<X509_SIG, X509_SIG_free>;
using Algorithm = x509::Owned<X509_ALGOR, X509_ALGOR_free>;

Result<std::string> WriteKey(const EVP_PKEY* key) {
  // Secure memory is wiped when it is freed.
  const x509::Bio bio(BIO_new(BIO_s_secmem()));
  if (bio == nullptr ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return Fail(ErrorCode::kInternal, "OpenSSL could not write a private key");
  }
  return x509::Content(bio.get());
}

Result<void> CheckPassphrase(std::string_view passphrase) {
  if (passphrase.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "the passphrase is empty; type one, or use none");
  }
  if (passphrase.size() > kPassphraseBytesMax) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the passphrase has {} bytes; at most {} are used", passphrase.size(),
                            kPassphraseBytesMax));
  }
  if (passphrase.find('\0') != std::string_view::npos) {
    return Fail(ErrorCode::kInvalidArgument,
                "the passphrase holds a zero byte, which other programs cannot type");
  }
  return {};
}

}  // namespace

Result<std::string> GenerateKey() {
  const x509::QuietErrors quiet;
  const x509::Key key(EVP_EC_gen("P-256"));
  if (key == nullptr) {
    return Fail(ErrorCode::kUnavailable,
                "OpenSSL could not make a key; its random source is not seeded");
  }
  return WriteKey(key.get());
}

bool IsEncryptedKey(std::string_view key_pem) {
  return key_pem.find("-----BEGIN ENCRYPTED PRIVATE KEY-----") != std::string_view::npos ||
         key_pem.find("Proc-Type: 4,ENCRYPTED") != std::string_view::npos;
}

Result<std::string> EncryptKey(std::string_view key_pem, std::string_view passphrase) {
  const x509::QuietErrors quiet;
  CONSILIUM_TRY(CheckPassphrase(passphrase));
  const auto key = x509::ReadKey(key_pem);
  CONSILIUM_TRY(key);
  const KeyInfo info(EVP_PKEY2PKCS8(key->get()));
  Algorithm algorithm(PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), kRounds, nullptr, kSaltBytes, nullptr,
                                        NID_hmacWithSHA256));
  if (info == nullptr || algorithm == nullptr) {
    return Fail(ErrorCode::kUnavailable, "OpenSSL could not draw a salt for the private key");
  }
  const Locked locked(PKCS8_set0_pbe(passphrase.data(), static_cast<int>(passphrase.size()),
                                     info.get(), algorithm.get()));
  if (locked == nullptr) {
    return Fail(ErrorCode::kInternal, "OpenSSL could not lock the private key");
  }
  (void)algorithm.release();  // it is `locked`'s now
  const x509::Bio bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || PEM_write_bio_PKCS8(bio.get(), locked.get()) != 1) {
    return Fail(ErrorCode::kInternal, "OpenSSL could not write a locked private key");
  }
  return x509::Content(bio.get());
}

Result<std::string> DecryptKey(std::string_view key_pem, std::string_view passphrase) {
  const x509::QuietErrors quiet;
  CONSILIUM_TRY(CheckPassphrase(passphrase));
  const auto blocks = x509::ReadPem(key_pem, "private key", kKeyPemBytesMax, 4);
  CONSILIUM_TRY(blocks);
  const x509::PemBlock& block = blocks->front();
  if (block.has_headers) {
    return Fail(ErrorCode::kInvalidArgument,
                "the private key is locked in an old format; convert it once with `openssl pkcs8 "
                "-topk8 -v2 aes-256-cbc`");
  }
  if (block.label != "ENCRYPTED PRIVATE KEY") {
    if (!block.label.ends_with("PRIVATE KEY")) {
      return Fail(ErrorCode::kInvalidArgument,
                  "no locked private key; expected a block -----BEGIN ENCRYPTED PRIVATE KEY-----");
    }
    return Fail(ErrorCode::kFailedPrecondition,
                "the private key is not locked; use it without a passphrase");
  }
  const unsigned char* at = block.bytes.data();
  const Locked locked(d2i_X509_SIG(nullptr, &at, static_cast<long>(block.bytes.size())));
  if (locked == nullptr) {
    return Fail(ErrorCode::kInvalidArgument,
                "the locked private key is damaged; restore it from a backup, or enrol again");
  }
  const KeyInfo info(
      PKCS8_decrypt(locked.get(), passphrase.data(), static_cast<int>(passphrase.size())));
  const x509::Key key(info == nullptr ? nullptr : EVP_PKCS82PKEY(info.get()));
  if (key == nullptr) {
    return Fail(ErrorCode::kPermissionDenied,
                "the passphrase does not open the private key; check capitals and the keyboard's "
                "language");
  }
  return WriteKey(key.get());
}

Result<void> KeyMatches(std::string_view key_pem, std::string_view certificate_pem) {
  const x509::QuietErrors quiet;
  const auto key = x509::ReadKey(key_pem);
  CONSILIUM_TRY(key);
  const auto certificates = x509::ReadCertificates(certificate_pem, "certificate");
  CONSILIUM_TRY(certificates);
  if (X509_check_private_key(certificates->front().get(), key->get()) != 1) {
    return Fail(ErrorCode::kFailedPrecondition,
                "the private key belongs to another certificate; put back the pair that was made "
                "together, or enrol again");
  }
  return {};
}

}  // namespace consilium::identity
