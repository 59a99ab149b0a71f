// The seeds of the fuzz targets are whole: no message of proto/ and no field is without one, and a
// format that changes does not leave them behind.
//
// After a change of proto/ or of a signed format, write the seeds that are made in code again:
// CONSILIUM_WRITE_SEEDS=1 bin/fuzz_corpus_test
#include <consilium/v1/consilium.pb.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>

#include "coordinator/study_run.h"
#include "federation/log.h"
#include "federation/receipt.h"
#include "federation/wire/wire.h"
#include "study/submission.h"
#include "tests/fuzz/wire_messages.h"
#include "tests/fuzz/wire_seeds.h"

namespace consilium::fuzz {
namespace {

namespace fs = std::filesystem;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

fs::path Corpus(const char* target) {
  return fs::path(CONSILIUM_SOURCE_DIR) / "tests/fuzz/corpus" / target;
}

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path << " is not there";
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::span<const std::uint8_t> AsSpan(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

const google::protobuf::FileDescriptor& Proto() { return *v1::FromSite::descriptor()->file(); }

// Names of the messages and fields in which `message` has something.
void Collect(const Message& message, std::set<std::string>& seen) {
  seen.insert(message.GetDescriptor()->full_name());
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    seen.insert(field->full_name());
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      Collect(message.GetReflection()->GetMessage(message, field), seen);
      continue;
    }
    for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i)
      Collect(message.GetReflection()->GetRepeatedMessage(message, field, i), seen);
  }
}

template <std::size_t N>
void CollectSeeds(const Seeds& seeds, const std::string_view (&names)[N],
                  std::set<std::string>& seen) {
  for (const auto& [file, bytes] : seeds) {
    const std::string name(names[static_cast<unsigned char>(bytes.at(0)) % N]);
    const Descriptor* type = Proto().FindMessageTypeByName(name);
    if (name == "submission") continue;
    ASSERT_NE(type, nullptr) << name << " is no message of proto/";
    const std::unique_ptr<Message> message(
        google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
    ASSERT_TRUE(message->ParseFromString(bytes.substr(1))) << file;
    Collect(*message, seen);
  }
}

TEST(FuzzCorpus, EveryMessageOfTheWireHasASeedAndEveryFieldSomethingInIt) {
  std::set<std::string> seen;
  CollectSeeds(WireSeeds(), kSiteMessages, seen);
  CollectSeeds(ConsoleSeeds(), kConsoleMessages, seen);
  EXPECT_GT(Proto().message_type_count(), 0);
  for (int i = 0; i < Proto().message_type_count(); ++i) {
    const Descriptor& type = *Proto().message_type(i);
    EXPECT_TRUE(seen.contains(type.full_name())) << type.full_name() << " has no seed";
    for (int f = 0; f < type.field_count(); ++f)
      EXPECT_TRUE(seen.contains(type.field(f)->full_name()))
          << type.field(f)->full_name() << " is empty in every seed";
  }
}

TEST(FuzzCorpus, EveryMessageOfAServiceIsTakenByATarget) {
  std::set<std::string, std::less<>> taken(std::begin(kSiteMessages), std::end(kSiteMessages));
  taken.insert(std::begin(kConsoleMessages), std::end(kConsoleMessages));
  EXPECT_GT(Proto().service_count(), 0);
  for (int s = 0; s < Proto().service_count(); ++s) {
    for (int m = 0; m < Proto().service(s)->method_count(); ++m) {
      const auto& method = *Proto().service(s)->method(m);
      EXPECT_TRUE(taken.contains(method.input_type()->name())) << method.input_type()->name();
      EXPECT_TRUE(taken.contains(method.output_type()->name())) << method.output_type()->name();
    }
  }
}

TEST(FuzzCorpus, SeedsMadeInCodeAreThoseInTheCorpus) {
  const bool write = std::getenv("CONSILIUM_WRITE_SEEDS") != nullptr;
  for (const auto& [target, seeds] :
       {std::pair("wire_fuzz", WireSeeds()), std::pair("console_fuzz", ConsoleSeeds()),
        std::pair("log_fuzz", LogSeeds())}) {
    for (const auto& [file, bytes] : seeds) {
      if (write) {
        fs::create_directories(Corpus(target));
        std::ofstream(Corpus(target) / file, std::ios::binary) << bytes;
      }
      EXPECT_TRUE(ReadFile(Corpus(target) / file) == bytes) << target << "/" << file << " differs";
    }
  }
}

// Refused seeds would leave everything behind the first check to chance.
TEST(FuzzCorpus, WhatIsSignedInTheSeedsIsGood) {
  const Seeds seeds = WireSeeds();
  const std::string bytes = seeds.at("submission").substr(1);
  const auto submission = study::DecodeSubmission(AsSpan(bytes));
  ASSERT_TRUE(submission.has_value());
  EXPECT_TRUE(study::StudyOf(*submission).has_value());
  v1::EnrollRequest request;
  ASSERT_TRUE(request.ParseFromString(seeds.at("enroll_request").substr(1)));
  EXPECT_TRUE(wire::Decode(request).has_value());
  v1::AnswerPart part;
  ASSERT_TRUE(part.ParseFromString(seeds.at("answer_head").substr(1)));
  EXPECT_TRUE(wire::Decode(part.head()).has_value());
}

TEST(FuzzCorpus, SeedsOfTheLogAndOfAReceiptAreOfTheirPresentFormats) {
  const Seeds seeds = LogSeeds();
  const auto figures = coordinator::VerifyLog(AsSpan(seeds.at("log")));
  ASSERT_TRUE(figures.has_value()) << figures.error().message;
  EXPECT_EQ(figures->rounds, 2U);
  EXPECT_EQ(figures->receipts, 8U);
  EXPECT_TRUE(federation::DecodeHeader(AsSpan(seeds.at("header"))).has_value());
  EXPECT_TRUE(federation::DecodeEntry(AsSpan(seeds.at("entry"))).has_value());
  const std::string receipt = ReadFile(Corpus("message_fuzz") / "receipt").substr(1);
  ByteReader reader(AsSpan(receipt));
  (void)federation::DecodeReceipt(reader);
  EXPECT_TRUE(reader.Finish("a receipt").has_value());
}

}  // namespace
}  // namespace consilium::fuzz
