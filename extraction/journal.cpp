#include "extraction/journal.h"

#include <fmt/format.h>

#include <fstream>
#include <span>

namespace consilium::extraction {

Result<Journal> Journal::Open(const std::filesystem::path& path) {
  std::map<std::string, Place> places;
  NameLists names;
  std::uint64_t whole = 0;
  {
    std::ifstream file(path, std::ios::binary);
    std::string line;
    for (std::size_t number = 1; std::getline(file, line) && !file.eof(); ++number) {
      const auto read = FromLine(line, names);
      if (!read) {
        return Fail(ErrorCode::kDataLoss,
                    fmt::format("{}:{}: {}; move the file away and extract again", path.string(),
                                number, read.error().message));
      }
      if (*read) places.try_emplace((*read)->key, Place{whole, line.size()});
      whole += line.size() + 1;
    }
  }
  auto file = disk::AppendFile::Open(path, whole);
  CONSILIUM_TRY(file);
  Journal journal(std::move(*file));
  journal.places_ = std::move(places);
  journal.names_ = std::move(names);
  return journal;
}

Result<void> Journal::Append(const std::string& key, const Outcome& outcome) {
  if (Has(key)) return {};
  NameLists told = names_;
  const std::string lines = ToLines(outcome, key, told);
  const std::uint64_t begin = file_.size();
  CONSILIUM_TRY(
      file_.Append(std::span(reinterpret_cast<const std::uint8_t*>(lines.data()), lines.size())));
  names_ = std::move(told);
  // The outcome is the last of the lines.
  const std::size_t before = lines.rfind('\n', lines.size() - 2) + 1;
  places_[key] = {begin + before, lines.size() - before - 1};
  return {};
}

Result<Outcome> Journal::Read(const std::string& key) const {
  const auto place = places_.find(key);
  if (place == places_.end())
    return Fail(ErrorCode::kNotFound,
                fmt::format("{} has no outcome {}", file_.path().string(), key));
  std::ifstream file(file_.path(), std::ios::binary);
  std::string line(place->second.bytes, '\0');
  file.seekg(static_cast<std::streamoff>(place->second.begin));
  file.read(line.data(), static_cast<std::streamsize>(line.size()));
  auto read =
      file ? FromLine(line, names_) : Fail(ErrorCode::kUnavailable, "it cannot be read any more");
  if (!read) return tl::unexpected(Within(file_.path().string(), std::move(read.error())));
  return std::move((*read)->outcome);
}

}  // namespace consilium::extraction
