#include "coordinator/backup.h"

#include <fmt/format.h>

#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "coordinator/home.h"
#include "coordinator/store.h"
#include "disk/files.h"
#include "program/program.h"

namespace consilium::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLabel = "consilium coordinator backup 1";
// What a coordinator cannot be made again from; the server's certificate is issued anew.
constexpr const char* kFiles[] = {"coordinator.json", "authority.crt", "authority.key",
                                  "signing.key", "store.db"};

std::span<const std::uint8_t> AsSpan(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

Result<std::string> BackupHome(const fs::path& folder, const fs::path& to) {
  std::error_code error;
  if (fs::exists(to, error)) {
    return Fail(ErrorCode::kAlreadyExists,
                to.string() + ": there is a file; a backup overwrites nothing");
  }
  const fs::path copy = to.string() + ".store";
  fs::remove(copy, error);
  {
    const auto store = Store::Open((folder / "store.db").string());
    CONSILIUM_TRY(store);
    CONSILIUM_TRY((*store)->Backup(copy.string()));
  }
  ByteWriter writer;
  writer.Text(kLabel);
  for (const char* name : kFiles) {
    const bool is_store = std::string_view(name) == "store.db";
    const auto text = disk::ReadFile(is_store ? copy : folder / name);
    if (!text) {
      fs::remove(copy, error);
      return tl::unexpected<Error>(text.error());
    }
    writer.Text(name);
    writer.Blob(AsSpan(*text));
  }
  fs::remove(copy, error);
  const Digest digest = Sha256(writer.bytes());
  writer.Raw(digest.bytes);
  const Bytes& bytes = writer.bytes();
  CONSILIUM_TRY(
      disk::ReplaceFile(to, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, 0600));
  return fmt::format("{}: {} bytes, SHA-256 of the content {}", to.string(), bytes.size(),
                     Hex(digest));
}

Result<std::string> RestoreHome(const fs::path& from, const fs::path& folder) {
  const auto text = disk::ReadFile(from);
  CONSILIUM_TRY(text);
  const auto bytes = AsSpan(*text);
  const auto damaged = [&](std::string_view what) {
    return Fail(ErrorCode::kDataLoss,
                fmt::format("{}: {}; use another backup", from.string(), what));
  };
  if (bytes.size() < 32) return damaged("it is no backup of a coordinator");
  ByteReader reader(bytes.first(bytes.size() - 32));
  if (reader.Text(64) != kLabel) return damaged("it is no backup of a coordinator");
  const Digest digest = Sha256(bytes.first(bytes.size() - 32));
  if (!std::equal(digest.bytes.begin(), digest.bytes.end(), bytes.end() - 32))
    return damaged("its content does not have the digest at its end");
  std::vector<std::pair<std::string, std::span<const std::uint8_t>>> files;
  for (const char* name : kFiles) {
    if (reader.Text(256) != name) return damaged(fmt::format("{} is not in it", name));
    files.emplace_back(name, reader.Blob(std::size_t{1} << 40));
  }
  if (!reader.Finish("backup")) return damaged("it ends early, or late");
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_empty(folder, error)) {
    return Fail(ErrorCode::kAlreadyExists,
                folder.string() + ": it is not empty; restore into a new folder");
  }
  CONSILIUM_TRY(disk::MakeFolder(folder, 0700));
  // coordinator.json comes last: with it the folder is a coordinator.
  for (auto it = files.rbegin(); it != files.rend(); ++it) {
    const auto mode = it->first == "authority.crt" ? 0644 : 0600;
    CONSILIUM_TRY(disk::ReplaceFile(
        folder / it->first, {reinterpret_cast<const char*>(it->second.data()), it->second.size()},
        static_cast<mode_t>(mode)));
  }
  {
    const auto store = Store::Open((folder / "store.db").string());
    CONSILIUM_TRY(store);
    CONSILIUM_TRY((*store)->Check());
  }
  const auto home = OpenHome(folder);
  CONSILIUM_TRY(home);
  return fmt::format(
      "{}: the coordinator of '{}'; start it with `consilium-coordinator --folder "
      "{} serve`",
      folder.string(), home->options.name, folder.string());
}

}  // namespace consilium::coordinator
