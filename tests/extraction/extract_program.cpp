#include "tests/extraction/extract_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <utility>

namespace consilium::extraction {
namespace {

namespace fs = std::filesystem;
using testing_support::ScratchFolder;

std::string Floats(const engine::VoxelValues& values) {
  std::string bytes;
  bytes.reserve(values.size() * sizeof(float));
  for (const double value : values) {
    const auto number = static_cast<float>(value);
    bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  return bytes;
}

}  // namespace

Started::Started(const ScratchFolder& scratch, const std::vector<std::string>& arguments,
                 const std::string& program)
    : words_(scratch.path() / "words.txt") {
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ != 0) return;
  const int nothing = ::open("/dev/null", O_RDONLY),
            words = ::open(words_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (::chdir(scratch.path().c_str()) == 0 && ::dup2(nothing, 0) == 0 && ::dup2(words, 1) == 1 &&
      ::dup2(words, 2) == 2)
    ::execv(argv[0], argv.data());
  ::_exit(127);
}

Started::~Started() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

pid_t Started::Worker() const {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "stat");
    std::string number, name, state;
    pid_t parent = 0;
    if (file >> number >> name >> state >> parent && parent == pid_) return std::stoi(number);
  }
  return 0;
}

Ended Started::Wait() {
  int status = 0;
  ::waitpid(std::exchange(pid_, -1), &status, 0);
  std::ifstream file(words_);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1,
          {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()}};
}

Ended Extract(const ScratchFolder& scratch, const std::vector<std::string>& arguments) {
  return Started(scratch, arguments).Wait();
}

Ended Shell(const ScratchFolder& scratch, const std::string& script) {
  const std::string path = fmt::format("PATH='{}':\"$PATH\"\n",
                                       fs::path(CONSILIUM_EXTRACT_BINARY).parent_path().string());
  return Started(scratch, {"-euc", path + script}, "/bin/sh").Wait();
}

bool WaitForJournal(const ScratchFolder& scratch, const std::string& out, std::ptrdiff_t lines) {
  constexpr int kPatienceMs = 60'000;
  const fs::path folder = scratch.path() / out;
  fs::create_directories(folder);
  const int changes = ::inotify_init1(IN_CLOEXEC);
  EXPECT_GE(::inotify_add_watch(changes, folder.c_str(), IN_CREATE | IN_MODIFY), 0);
  std::array<char, 4096> events{};
  bool came = false;
  pollfd wait{changes, POLLIN, 0};
  do {
    if (!scratch.Has(out + "/journal.jsonl")) continue;
    const std::string text = scratch.Read(out + "/journal.jsonl");
    came = std::count(text.begin(), text.end(), '\n') >= lines;
  } while (!came && ::poll(&wait, 1, kPatienceMs) == 1 &&
           ::read(changes, events.data(), events.size()) > 0);
  ::close(changes);
  return came;
}

std::multimap<std::string, Row> RowsBy(std::string_view column, const std::string& csv) {
  std::multimap<std::string, Row> rows;
  const auto table = ParseCsv(csv, "table");
  EXPECT_TRUE(table.has_value()) << (table ? "" : table.error().message);
  for (std::size_t i = 0; table && i < table->row_count(); ++i) {
    Row row;
    for (std::size_t j = 0; j < table->column_count(); ++j)
      row[table->header()[j]] = table->Cell(i, j);
    rows.emplace(row[std::string(column)], row);
  }
  return rows;
}

engine::PlacedImage Texture(const engine::Grid& grid) {
  return Made(grid,
              [](int x, int y, int z) { return (7 * x + 13 * y + 29 * z + 3 * x * y) % 101; });
}

engine::PlacedImage Ellipsoid(const engine::Grid& grid) {
  return Made(grid, [&](int x, int y, int z) {
    double sum = 0;
    for (const auto& [at, size] :
         {std::pair(x, grid.size[0]), std::pair(y, grid.size[1]), std::pair(z, grid.size[2])}) {
      const double from_middle = (at - (size - 1) / 2.0) / (0.35 * size);
      sum += from_middle * from_middle;
    }
    return sum <= 1 ? 1 : 0;
  });
}

std::string Nifti(const engine::PlacedImage& placed) {
  constexpr std::size_t kHeader = 352;
  std::string bytes(kHeader, '\0');
  const engine::Grid& grid = placed.image.grid;
  PutAt<std::int32_t>(bytes, 0, 348);
  PutAt<std::int16_t>(bytes, 40, 3);
  for (std::size_t axis = 0; axis < 7; ++axis) {
    const bool is_space = axis < 3;
    PutAt(bytes, 42 + 2 * axis, static_cast<std::int16_t>(is_space ? grid.size[axis] : 1));
    PutAt(bytes, 80 + 4 * axis, static_cast<float>(is_space ? grid.spacing_mm[axis] : 0));
  }
  PutAt<std::int16_t>(bytes, 70, 16);
  PutAt<std::int16_t>(bytes, 72, 32);
  PutAt<float>(bytes, 76, 1);
  PutAt<float>(bytes, 108, kHeader);
  PutAt<float>(bytes, 112, 1);
  bytes[123] = 2;                      // mm
  PutAt<std::int16_t>(bytes, 254, 1);  // sform, which points right, anterior and up
  for (std::size_t i = 0; i < 3; ++i) {
    const double sign = i < 2 ? -1 : 1;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      PutAt(bytes, 280 + 16 * i + 4 * axis,
            static_cast<float>(sign * placed.place.direction[axis][i] * grid.spacing_mm[axis]));
    }
    PutAt(bytes, 292 + 16 * i, static_cast<float>(sign * placed.place.origin_mm[i]));
  }
  bytes.replace(344, 3, "n+1");
  return bytes + Floats(placed.image.values);
}

std::string Meta(const engine::PlacedImage& placed) {
  const auto& [grid, values, kind] = placed.image;
  return fmt::format(
             "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
             "CompressedData = False\nOffset = {}\nElementSpacing = {}\nDimSize = {}\n"
             "ElementType = MET_FLOAT\nElementDataFile = LOCAL\n",
             fmt::join(placed.place.origin_mm, " "), fmt::join(grid.spacing_mm, " "),
             fmt::join(grid.size, " ")) +
         Floats(values);
}

std::string Nrrd(const engine::PlacedImage& placed, std::string_view more) {
  const auto& [grid, values, kind] = placed.image;
  std::string directions;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    std::array<double, 3> step = placed.place.direction[axis];
    for (double& number : step) number *= grid.spacing_mm[axis];
    directions += fmt::format("({}) ", fmt::join(step, ","));
  }
  return fmt::format(
             "NRRD0004\ntype: float\ndimension: 3\nspace: left-posterior-superior\nsizes: {}\n"
             "space directions: {}\nendian: little\nencoding: raw\nspace origin: ({})\n{}\n",
             fmt::join(grid.size, " "), directions, fmt::join(placed.place.origin_mm, ","), more) +
         Floats(values);
}

void WriteCases(const ScratchFolder& scratch, const engine::Grid& grid, int count,
                std::string_view more) {
  scratch.Write("mask.nrrd", Nrrd(Ellipsoid(grid)));
  std::string list = "id,image,mask,scanner\n";
  for (int i = 1; i <= count; ++i) {
    engine::PlacedImage image = Texture(grid);
    for (double& value : image.image.values.Doubles()) value *= 1 + 0.01 * i;
    scratch.Write(fmt::format("case{}.nrrd", i), Nrrd(image));
    list += fmt::format("case{0},case{0}.nrrd,mask.nrrd,{1}\n", i, i % 2 == 0 ? "A" : "B");
  }
  scratch.Write("cases.csv", list.append(more));
}

}  // namespace consilium::extraction
