// A folder for one test's store, and the smallest study with an open attempt.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "base/digest.h"
#include "base/rng.h"
#include "coordinator/store.h"

namespace consilium::coordinator::testing_support {

// Empty at first, gone with everything in it at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    // In memory where there is such a place: no test here depends on how long a disk takes.
    for (const std::string& place : {std::string("/dev/shm/"), testing::TempDir()}) {
      std::string pattern = place + "consilium_store_XXXXXX";
      if (mkdtemp(pattern.data()) == nullptr) continue;
      path_ = pattern;
      return;
    }
    std::abort();
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The value of a Result that the test is not about.
template <typename T>
T Must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << Name(result.error().code) << ": " << result.error().message;
    std::abort();
  }
  return std::move(*result);
}
inline void Must(const Result<void>& result) {
  ASSERT_TRUE(result.has_value()) << Name(result.error().code) << ": " << result.error().message;
}

// That a call was refused with this code, and that its message holds these words.
template <typename T>
testing::AssertionResult Refused(const Result<T>& result, ErrorCode code,
                                 const std::string& words = "") {
  if (result) return testing::AssertionFailure() << "was not refused";
  const Error& error = result.error();
  if (error.code == code && error.message.find(words) != std::string::npos) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << Name(error.code) << ": " << error.message << "\nexpected "
                                     << Name(code) << " with '" << words << "'";
}

inline NewStudy SmallStudy(const std::string& name) {
  return {Sha256(name), name, "lead", "name: " + name + "\n", Bytes{1, 2, 3}};
}

inline Bytes RandomBytes(std::size_t count, std::uint64_t seed, std::uint64_t index = 0) {
  Rng rng(seed, "store test", index);
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; i += 8) {
    std::uint64_t word = rng.Next();
    for (std::size_t k = i; k < count && k < i + 8; ++k, word >>= 8) {
      bytes[k] = static_cast<std::uint8_t>(word);
    }
  }
  return bytes;
}

// A new store with the study "alpha" and its attempt 0.
struct StoreWithStudy {
  explicit StoreWithStudy(const StoreOptions& options = {})
      : store(Must(Store::Create(folder / "store.db", options))) {
    Must(store->AddStudy(SmallStudy("alpha"), 1000));
    Must(store->BeginAttempt(study, 0, Bytes{7}, 2000));
  }
  void Reopen(const StoreOptions& options = {}) {
    store.reset();
    store = Must(Store::Open(folder / "store.db", options));
  }
  TemporaryFolder folder;
  Digest study = SmallStudy("alpha").id;
  std::unique_ptr<Store> store;
};

}  // namespace consilium::coordinator::testing_support
