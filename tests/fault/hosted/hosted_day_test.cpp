// A day of a federation, on a virtual clock: one study after another, with hours of somebody's
// silence in them and everybody killed now and then. At the end of the day the same processes hold
// what they held at noon.
#include <gtest/gtest.h>
#include <malloc.h>

#include <filesystem>
#include <iterator>

#include "base/rng.h"
#include "tests/fault/hosted/hosted_federation.h"

namespace consilium::testing {
namespace {

constexpr std::int64_t kMinute = 60'000, kHour = 60 * kMinute;

struct Holding {
  std::int64_t bytes = 0;  // of the allocator, ledgers' disks apart
  std::int64_t files = 0;
  int studies = 0;
};

Holding Now(HostedWorld& world, int studies) {
  world.RestartStore();  // whose cache of pages grows to its limit
  Holding held{0, 0, studies};
  for (auto& [name, hospital] : world.hospitals())
    held.bytes -= static_cast<std::int64_t>(hospital.disk.bytes.capacity());
  const auto all = mallinfo2();
  held.bytes += static_cast<std::int64_t>(all.uordblks + all.hblkhd);
  const std::filesystem::directory_iterator files("/proc/self/fd");
  held.files = std::distance(begin(files), end(files));
  return held;
}

std::string YamlOf(int study) {
  SmallStudyOptions options;
  options.kkt_tolerance = 1e-4;
  options.combat = study % 2 == 0;
  options.fold_column = true;  // the same folds in every study
  std::string yaml = SmallStudyYaml(options);
  const std::string name = "name: small\n";
  return yaml.replace(yaml.find(name), name.size(), "name: day-" + std::to_string(study) + "\n");
}

TEST(HostedDay, HoldsInTheEveningWhatItHeldAtNoon) {
  const std::vector<std::string> names = {"north", "east", "south", "west"};
  const auto folder = std::filesystem::path(::testing::TempDir()) / "consilium_hosted_day";
  std::filesystem::remove_all(folder);
  HostedWorld world(20, SmallHospitals(), folder);
  const std::int64_t begin = world.now_ms;
  Rng rng(20261122, "day");
  int studies = 0, kills = 0, silences = 0;
  const auto run_until = [&](std::int64_t hour) {
    while (world.now_ms - begin < hour * kHour) {
      SCOPED_TRACE(studies);
      HostedFederation hosted(YamlOf(studies++), world);
      while (!hosted.host().ended()) {
        ASSERT_TRUE(hosted.Step());
        if (!rng.Chance(0.01)) continue;
        const std::string& site = names[rng.Below(names.size())];
        if (rng.Chance(0.3)) {
          ++kills;
          rng.Chance(0.3) ? hosted.KillCoordinator() : hosted.KillSite(site);
        } else {
          ++silences;
          hosted.Silence(site);
          const std::int64_t until =
              world.now_ms + kMinute * static_cast<std::int64_t>(1 + rng.Below(30));
          while (world.now_ms < until && hosted.Step()) {
          }
          hosted.ComeBack(site);
        }
      }
      hosted.RunToEnd();
      ASSERT_EQ(hosted.Status().study.state, coordinator::StudyState::kFinished)
          << hosted.Status().study.reason;
      ASSERT_TRUE(hosted.refusals().empty()) << hosted.refusals().front();
      world.now_ms += 5 * kMinute;
    }
  };
  ASSERT_NO_FATAL_FAILURE(run_until(12));
  const Holding noon = Now(world, studies);
  ASSERT_NO_FATAL_FAILURE(run_until(24));
  const Holding evening = Now(world, studies);
  const std::int64_t more = evening.studies - noon.studies;
  fmt::print("{} studies, {} kills, {} silences; {} and {} bytes, {} and {} files\n", studies,
             kills, silences, noon.bytes, evening.bytes, noon.files, evening.files);
  EXPECT_GE(more, 10);
  EXPECT_GT(silences, 20);
  EXPECT_GT(kills, 10);
  // What four gates keep of a study that is over: names, columns, row sets.
  EXPECT_LE(evening.bytes, noon.bytes + more * 20'000);
  EXPECT_LE(evening.files, noon.files);
}

}  // namespace
}  // namespace consilium::testing
