#include "extraction/rater_agreement.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/csv.h"
#include "engine/stability/mask_agreement.h"
#include "extraction/read_case.h"
#include "extraction/worker.h"

namespace consilium::extraction {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kRater = 3;
static_assert(std::string_view(kFacets[kRater]) == "rater");

MaskPair Measured(MaskPair pair, const engine::Mask& a, const engine::Mask& b) {
  const auto overlap = engine::OverlapOf(a, b);
  const auto distances = engine::SurfaceDistancesOf(a, b);
  if (!overlap || !distances) {
    pair.problem = overlap ? distances.error().message : overlap.error().message;
    return pair;
  }
  pair.dice = overlap->dice;
  pair.jaccard = overlap->jaccard;
  pair.hausdorff_95_mm = distances->hausdorff_95_mm;
  pair.mean_surface_mm = distances->mean_mm;
  return pair;
}

using Regions = std::vector<Region>;

void Compare(const Result<Regions>& a, const Result<Regions>& b, const MaskPair& of,
             std::vector<MaskPair>& pairs) {
  const auto problem = [&](const std::string& region, const std::string& what) {
    pairs.push_back(of);
    pairs.back().region = region;
    pairs.back().problem = what;
  };
  for (const auto* one : {&a, &b}) {
    if (!*one) return problem("", one->error().message);
  }
  const bool single = a->size() == 1 && b->size() == 1;
  for (const Region& region : *a) {
    const auto other =
        single ? b->begin() : std::find_if(b->begin(), b->end(), [&](const Region& candidate) {
          return candidate.name == region.name;
        });
    if (other == b->end()) {
      problem(region.name, "the second rater has no such region");
      continue;
    }
    MaskPair pair = of;
    pair.region = region.name;
    pairs.push_back(Measured(std::move(pair), region.mask, other->mask));
  }
  for (const Region& region : *b) {
    const bool both = single || std::any_of(a->begin(), a->end(), [&](const Region& candidate) {
                        return candidate.name == region.name;
                      });
    if (!both) problem(region.name, "the first rater has no such region");
  }
}

// Cases that differ in the rater alone, in the order of the list.
std::vector<std::vector<Case>> ImagesWithRaters(const CaseList& list) {
  std::vector<std::vector<Case>> images;
  std::map<std::vector<std::string>, std::size_t> place;
  for (const Case& one : list.cases) {
    if (one.facets[kRater].empty()) continue;
    std::vector<std::string> image = {one.patient};
    for (std::size_t i = 0; i < kFacets.size(); ++i) {
      if (i != kRater) image.push_back(one.facets[i]);
    }
    const auto [at, is_new] = place.try_emplace(std::move(image), images.size());
    if (is_new) images.emplace_back();
    images[at->second].push_back(one);
  }
  std::erase_if(images, [](const auto& raters) { return raters.size() < 2; });
  return images;
}

}  // namespace

std::vector<MaskPair> CompareMasks(const std::vector<Case>& raters, int label) {
  std::vector<Result<Regions>> regions;
  for (const Case& one : raters) {
    auto loaded = ReadCase(one, label);
    if (!loaded) {
      regions.emplace_back(tl::unexpected(loaded.error()));
    } else if (loaded->regions.empty() && !loaded->failures.empty()) {
      regions.emplace_back(Fail(ErrorCode::kInvalidArgument, loaded->failures.front().message));
    } else {
      regions.emplace_back(std::move(loaded->regions));
    }
  }
  std::vector<MaskPair> pairs;
  for (std::size_t i = 0; i < raters.size(); ++i) {
    for (std::size_t j = i + 1; j < raters.size(); ++j) {
      MaskPair pair;
      pair.first = i;
      pair.second = j;
      Compare(regions[i], regions[j], pair, pairs);
    }
  }
  return pairs;
}

std::string ToLine(const std::vector<MaskPair>& pairs) {
  Json all = Json::array();
  for (const MaskPair& pair : pairs) {
    all.push_back({{"region", pair.region},
                   {"first", pair.first},
                   {"second", pair.second},
                   {"dice", pair.dice},
                   {"jaccard", pair.jaccard},
                   {"hausdorff_95_mm", pair.hausdorff_95_mm},
                   {"mean_surface_mm", pair.mean_surface_mm},
                   {"problem", pair.problem}});
  }
  return all.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<std::vector<MaskPair>> MaskPairsFromLine(std::string_view line) {
  try {
    std::vector<MaskPair> pairs;
    for (const Json& json : Json::parse(line)) {
      MaskPair& pair = pairs.emplace_back();
      json.at("region").get_to(pair.region);
      json.at("first").get_to(pair.first);
      json.at("second").get_to(pair.second);
      json.at("dice").get_to(pair.dice);
      json.at("jaccard").get_to(pair.jaccard);
      json.at("hausdorff_95_mm").get_to(pair.hausdorff_95_mm);
      json.at("mean_surface_mm").get_to(pair.mean_surface_mm);
      json.at("problem").get_to(pair.problem);
    }
    return pairs;
  } catch (const Json::exception&) {
    return Fail(ErrorCode::kInternal, "a worker answered something else than pairs of masks");
  }
}

Result<std::string> MaskAgreementTable(const CaseList& list, const PoolOptions& pool) {
  const auto images = ImagesWithRaters(list);
  if (images.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "no image of the list has masks of two raters; say in column 'rater' whose each "
                "is, and in 'patient' whom it shows");
  }
  std::vector<std::vector<MaskPair>> pairs_of(images.size());
  std::size_t next = 0;
  PoolEvents events;
  events.next = [&]() -> std::optional<std::string> {
    if (next == images.size()) return std::nullopt;
    return RequestOf(images[next++]);
  };
  events.on_line = [&](std::size_t number,
                       std::string_view line) -> Result<std::optional<std::string>> {
    if (line == kReady) return std::optional<std::string>();
    auto pairs = MaskPairsFromLine(line);
    CONSILIUM_TRY(pairs);
    pairs_of[number] = std::move(*pairs);
    return std::string();
  };
  events.on_death = [&](std::size_t number, const std::string& how) -> Result<void> {
    MaskPair all;
    all.second = images[number].size() - 1;
    all.problem = how;
    pairs_of[number] = {std::move(all)};
    return {};
  };
  events.stopped = [] { return false; };
  CONSILIUM_TRY(RunPool(pool, events));

  CsvWriter csv;
  csv.Cell("patient");
  for (std::size_t i = 0; i < kFacets.size(); ++i) {
    if (i != kRater) csv.Cell(kFacets[i]);
  }
  for (const char* name : {"region", "rater_1", "rater_2", "dice", "jaccard", "hausdorff_95_mm",
                           "mean_surface_mm", "problem"})
    csv.Cell(name);
  csv.EndRow();
  for (std::size_t image = 0; image < images.size(); ++image) {
    const std::vector<Case>& raters = images[image];
    for (const MaskPair& pair : pairs_of[image]) {
      if (pair.first >= raters.size() || pair.second >= raters.size())
        return Fail(ErrorCode::kInternal, "a worker compared masks that it was not given");
      csv.Cell(raters.front().patient);
      for (std::size_t i = 0; i < kFacets.size(); ++i) {
        if (i != kRater) csv.Cell(raters.front().facets[i]);
      }
      csv.Cell(pair.region);
      csv.Cell(raters[pair.first].facets[kRater]).Cell(raters[pair.second].facets[kRater]);
      for (const double figure :
           {pair.dice, pair.jaccard, pair.hausdorff_95_mm, pair.mean_surface_mm})
        csv.Cell(pair.problem.empty() ? FormatNumber(figure) : "");
      csv.Cell(pair.problem);
      csv.EndRow();
    }
  }
  return csv.text();
}

}  // namespace consilium::extraction
