// Any bytes as a request, a certificate or an enrolment token: read or refused, never a crash; one
// token has one text. The first byte chooses: PEM text as it is, DER put into PEM (so that the
// fuzzer need not learn base64), token text, or a token's bytes (past the checksum, which it cannot
// guess).
#include <openssl/crypto.h>
#include <openssl/pem.h>

#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "identity/certificate.h"
#include "identity/token.h"

namespace {

std::string Pem(const char* label, std::span<const std::uint8_t> der) {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio(bio, label, "", der.data(), static_cast<long>(der.size()));
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(length));
  BIO_free(bio);
  return text;
}

void ReadAll(std::string_view pem) {
  using namespace consilium::identity;  // NOLINT
  if (const auto facts = ReadRequest(pem); facts && !CheckName(facts->name)) std::abort();
  const auto facts = ReadCertificate(pem);
  if (facts && !facts->is_authority && !CheckName(facts->name)) std::abort();
  if (facts && facts->is_authority == facts->role.has_value()) std::abort();
  // Its own authority: a leaf is never one, and an authority never a leaf.
  if (CheckIssued(pem, pem, 1'790'000'000)) std::abort();
}

void ReadToken(const consilium::Result<consilium::identity::Token>& token) {
  if (!token) return;
  const auto text = EncodeToken(*token);
  if (!text) std::abort();
  const auto again = consilium::identity::DecodeToken(*text);
  if (!again || !(*again == *token)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace consilium::identity;  // NOLINT
  if (size == 0) return 0;
  const std::span<const std::uint8_t> rest(data + 1, size - 1);
  const std::string_view text(reinterpret_cast<const char*>(rest.data()), rest.size());
  switch (data[0]) {
    case 'P':
      ReadAll(text);
      break;
    case 'R':
      ReadAll(Pem("CERTIFICATE REQUEST", rest));
      break;
    case 'C':
      ReadAll(Pem("CERTIFICATE", rest));
      break;
    case 'B':
      ReadToken(ReadTokenBytes(rest));
      break;
    default:
      ReadToken(DecodeToken(text));
  }
  return 0;
}
