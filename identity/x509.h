// OpenSSL's objects with owners, and the readers that the .cpp files of this folder share. Included
// by them only: OpenSSL's types stop here.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/result.h"
#include "identity/certificate.h"

namespace consilium::identity::x509 {

template <auto kFree>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
template <typename T, auto kFree>
using Owned = std::unique_ptr<T, Freer<kFree>>;

inline void FreeText(char* text) { OPENSSL_free(text); }
inline void FreeBytes(unsigned char* bytes) { OPENSSL_free(bytes); }

using Bio = Owned<BIO, BIO_free_all>;
using Key = Owned<EVP_PKEY, EVP_PKEY_free>;
using Certificate = Owned<X509, X509_free>;
using Request = Owned<X509_REQ, X509_REQ_free>;
using Names = Owned<GENERAL_NAMES, GENERAL_NAMES_free>;
using Text = Owned<char, FreeText>;
using Buffer = Owned<unsigned char, FreeBytes>;

// Empties OpenSSL's queue of errors when it goes: none of ours are left for the next caller of TLS.
struct QuietErrors {
  QuietErrors() = default;
  QuietErrors(const QuietErrors&) = delete;
  QuietErrors& operator=(const QuietErrors&) = delete;
  ~QuietErrors();
};

// One block of a PEM text, RFC 7468.
struct PemBlock {
  std::string label;         // "CERTIFICATE"
  Bytes bytes;               // wiped by whoever reads a secret from it
  bool has_headers = false;  // RFC 1421's: only old locked keys have them
};
// The blocks in their order, at most `blocks_max`. `what` names the text in messages.
// Errors: kInvalidArgument (longer than bytes_max, damaged, too many, none).
[[nodiscard]] Result<std::vector<PemBlock>> ReadPem(std::string_view text, std::string_view what,
                                                    std::size_t bytes_max, std::size_t blocks_max);

// What a memory BIO has taken in.
[[nodiscard]] std::string Content(BIO* bio);

// All certificates of a text. Errors: kInvalidArgument (also: their DER is not canonical).
[[nodiscard]] Result<std::vector<Certificate>> ReadCertificates(std::string_view pem,
                                                                std::string_view what);
[[nodiscard]] Result<std::string> WriteCertificate(X509* certificate);
[[nodiscard]] Bytes Der(const X509* certificate);

// An unlocked private key. Errors: kInvalidArgument, kFailedPrecondition (locked).
[[nodiscard]] Result<Key> ReadKey(std::string_view pem);

// "P-256", "P-384", "Ed25519", "RSA 3072". Errors: kInvalidArgument (any other, or too weak).
[[nodiscard]] Result<std::string> KeyType(const EVP_PKEY* key, std::string_view what);
// What to sign with: SHA-256, or none of its own for Ed25519.
[[nodiscard]] const EVP_MD* SigningDigest(const EVP_PKEY* key);
// SHA-256 of the SubjectPublicKeyInfo.
[[nodiscard]] Digest PublicKeyDigest(X509_PUBKEY* key);

// The one value of `nid` in the name, as UTF-8. Errors: kInvalidArgument (none, or several).
[[nodiscard]] Result<std::string> OnlyEntry(const X509_NAME* name, int nid, std::string_view what);

// Appends one value; false if the text is no UTF-8 or longer than RFC 5280 allows for `nid`.
[[nodiscard]] bool AddEntry(X509_NAME* name, int nid, std::string_view text);

// A request and what it says, after every check of ReadRequest, and with its errors.
struct CheckedRequest {
  Request request;
  RequestFacts facts;
};
[[nodiscard]] Result<CheckedRequest> CheckRequest(std::string_view request_pem);

// Random bytes. Errors: kUnavailable.
[[nodiscard]] Result<void> Randomize(std::span<std::uint8_t> bytes);

}  // namespace consilium::identity::x509
