// The half of certificate.h that makes and reads requests.
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/objects.h>
#include <openssl/pem.h>

#include "identity/certificate.h"
#include "identity/x509.h"

namespace consilium::identity {
namespace {

// SHA-2 with RSA (PKCS #1 1.5) or ECDSA, or Ed25519.
bool IsStrongSignature(int signature_nid) {
  int digest = NID_undef;
  int key = NID_undef;
  if (signature_nid == NID_ED25519) return true;
  return OBJ_find_sigid_algs(signature_nid, &digest, &key) == 1 &&
         (digest == NID_sha256 || digest == NID_sha384 || digest == NID_sha512);
}

}  // namespace

Result<std::string> MakeRequest(std::string_view key_pem, std::string_view name, Role role) {
  const x509::QuietErrors quiet;
  CONSILIUM_TRY(CheckName(name));
  const auto key = x509::ReadKey(key_pem);
  CONSILIUM_TRY(key);
  CONSILIUM_TRY(x509::KeyType(key->get(), "private key"));
  const x509::Request request(X509_REQ_new());
  const x509::Bio bio(BIO_new(BIO_s_mem()));
  if (request == nullptr || bio == nullptr ||
      X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      !x509::AddEntry(X509_REQ_get_subject_name(request.get()), NID_organizationalUnitName,
                      Name(role)) ||
      !x509::AddEntry(X509_REQ_get_subject_name(request.get()), NID_commonName, name) ||
      X509_REQ_set_pubkey(request.get(), key->get()) != 1 ||
      X509_REQ_sign(request.get(), key->get(), x509::SigningDigest(key->get())) <= 0 ||
      PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1) {
    return Fail(ErrorCode::kInternal, "OpenSSL could not make a request for " + Quoted(name));
  }
  return x509::Content(bio.get());
}

namespace x509 {

Result<CheckedRequest> CheckRequest(std::string_view request_pem) {
  const QuietErrors quiet;
  auto blocks = ReadPem(request_pem, "request", kRequestPemBytesMax, 1);
  CONSILIUM_TRY(blocks);
  PemBlock& block = blocks->front();
  if (block.label != "CERTIFICATE REQUEST" || block.has_headers) {
    OPENSSL_cleanse(block.bytes.data(), block.bytes.size());  // it may be a key
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("request: expected a block -----BEGIN CERTIFICATE REQUEST-----, found "
                            "{}",
                            Quoted(block.label)));
  }
  const unsigned char* at = block.bytes.data();
  CheckedRequest checked;
  checked.request.reset(d2i_X509_REQ(nullptr, &at, static_cast<long>(block.bytes.size())));
  X509_REQ* request = checked.request.get();
  unsigned char* data = nullptr;
  const int length = request == nullptr ? 0 : i2d_X509_REQ(request, &data);
  const Buffer owned(data);
  if (length <= 0 || Bytes(data, data + length) != block.bytes) {
    return Fail(ErrorCode::kInvalidArgument,
                "request: damaged (its DER does not decode, or not back to the same bytes); make "
                "it again");
  }
  const X509_NAME* subject = X509_REQ_get_subject_name(request);
  auto name = OnlyEntry(subject, NID_commonName, "request");
  CONSILIUM_TRY(name);
  if (auto ok = CheckName(*name); !ok) {
    return tl::unexpected<Error>(Within("request: CN", std::move(ok).error()));
  }
  const std::string where = "request of " + *name;
  const auto unit = OnlyEntry(subject, NID_organizationalUnitName, where);
  CONSILIUM_TRY(unit);
  const auto role = ParseRole(*unit);
  if (!role) return tl::unexpected<Error>(Within(where + ": OU", role.error()));
  auto key_type = KeyType(X509_REQ_get0_pubkey(request), where);
  CONSILIUM_TRY(key_type);
  if (!IsStrongSignature(X509_REQ_get_signature_nid(request))) {
    return Fail(ErrorCode::kPermissionDenied,
                where +
                    ": signed with less than SHA-256, or in a way that we do not accept; make "
                    "it again with SHA-256");
  }
  if (X509_REQ_verify(request, X509_REQ_get0_pubkey(request)) != 1) {
    return Fail(ErrorCode::kPermissionDenied,
                where + ": its signature was not made by the key in it; make it again");
  }
  checked.facts.name = std::move(*name);
  checked.facts.role = *role;
  checked.facts.public_key = PublicKeyDigest(X509_REQ_get_X509_PUBKEY(request));
  checked.facts.key_type = std::move(*key_type);
  return checked;
}

}  // namespace x509

Result<RequestFacts> ReadRequest(std::string_view request_pem) {
  auto checked = x509::CheckRequest(request_pem);
  CONSILIUM_TRY(checked);
  return std::move(checked->facts);
}

}  // namespace consilium::identity
