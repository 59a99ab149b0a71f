#include "coordinator/memory_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

namespace consilium::coordinator {
namespace {

std::string ReadPath(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(MemoryFile, IsReadByItsPathAndHasATime) {
  const auto file = MemoryFile::Make("one");
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ(ReadPath(file->path()), "one");
  EXPECT_EQ(ReadPath(file->path()), "one");  // from its beginning every time
  struct stat about {};
  ASSERT_EQ(::stat(file->path().c_str(), &about), 0);
  EXPECT_GT(about.st_mtime, 0);
}

TEST(MemoryFile, KeepsItsPathWhenItIsReplacedOrMoved) {
  auto file = MemoryFile::Make("a long text at first");
  ASSERT_TRUE(file.has_value());
  const std::string path = file->path();
  ASSERT_TRUE(file->Replace("short").has_value());
  MemoryFile moved = std::move(*file);
  EXPECT_EQ(moved.path(), path);
  EXPECT_EQ(ReadPath(path), "short");
  ASSERT_TRUE(moved.Replace("").has_value());
  EXPECT_EQ(ReadPath(path), "");
}

TEST(MemoryFile, IsGoneWithItsObject) {
  std::string path;
  {
    const auto file = MemoryFile::Make("secret");
    ASSERT_TRUE(file.has_value());
    path = file->path();
  }
  EXPECT_NE(ReadPath(path), "secret");
}

TEST(MemoryFile, WhoeverReadsWhileItIsReplacedSeesOneOfThem) {
  const std::string first(100'000, 'a'), second(200'000, 'b');
  auto file = MemoryFile::Make(first);
  ASSERT_TRUE(file.has_value());
  std::atomic<bool> done{false};
  std::atomic<int> torn{0};
  std::thread reader([&] {
    while (!done) {
      const std::string read = ReadPath(file->path());
      if (read != first && read != second) ++torn;
    }
  });
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(file->Replace(i % 2 == 0 ? second : first).has_value());
  done = true;
  reader.join();
  EXPECT_EQ(torn, 0);
}

}  // namespace
}  // namespace consilium::coordinator
