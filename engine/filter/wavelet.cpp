#include "engine/filter/wavelet.h"

#include <fmt/format.h>

#include <numbers>
#include <span>
#include <utility>
#include <vector>

#include "engine/filter/convolution.h"
#include "engine/filter/wavelet_tables.h"

namespace consilium::engine {
namespace {

constexpr Boundary kPeriodic = Boundary::kPeriodic;

// The high filter is the reconstruction's low one with alternating signs.
WaveletFilters WithHigh(std::vector<double> low, const std::vector<double>& synthesis_low) {
  WaveletFilters filters{std::move(low), {}};
  for (std::size_t k = 0; k < synthesis_low.size(); ++k)
    filters.high.push_back((k % 2 == 0 ? -1 : 1) * synthesis_low[k]);
  return filters;
}

// What is tabulated of a tap, and its factor, in single precision.
void RoundToSingle(std::vector<double>& taps, bool coiflet) {
  for (double& tap : taps) {
    tap = coiflet ? static_cast<float>(tap / std::numbers::sqrt2) * std::numbers::sqrt2_v<float>
                  : static_cast<float>(tap);
  }
}

// Takes a part's name and voxels.
template <typename Number>
using VisitPart = std::function<Result<void>(const std::string& name, PartIn<Number> part)>;

// What is decomposed, filtered along one axis.
template <typename Number>
using Along =
    std::function<PartIn<Number>(std::size_t axis, const Chain& filter, const Range& out)>;

// All combinations of low and high along `axes`, of which there is one or more, in `out`.
template <typename Number>
Result<void> Decompose(const std::string& name, std::span<const std::size_t> axes,
                       const Along<Number>& along, const Chain& low, const Chain& high,
                       const Ranges& out, const VisitPart<Number>& visit) {
  for (const auto& [letter, filter] : {std::pair("L", &low), std::pair("H", &high)}) {
    PartIn<Number> part = along(axes[0], *filter, out[axes[0]]);
    if (axes.size() == 1) {
      CONSILIUM_TRY(visit(name + letter, std::move(part)));
      continue;
    }
    const Along<Number> next = [&part](std::size_t axis, const Chain& of, const Range& within) {
      return Convolved(part, axis, of, kPeriodic, within);
    };
    CONSILIUM_TRY(Decompose(name + letter, axes.subspan(1), next, low, high, out, visit));
  }
  return {};
}

Result<WaveletFilters> DoubleNamed(std::string_view name) {
  const bool reversed = name.starts_with("rbio");
  const std::string in_table = name == "haar" ? "db1"
                               : reversed     ? fmt::format("bior{}", name.substr(4))
                                              : std::string(name);
  for (const WaveletTable& table : WaveletTables()) {
    if (table.name != in_table) continue;
    const std::vector<double> low(table.low.begin(), table.low.end()),
        backwards(table.low.rbegin(), table.low.rend());
    if (table.synthesis_low.empty()) return WithHigh(low, backwards);
    const auto& other = table.synthesis_low;
    if (!reversed) return WithHigh(low, {other.begin(), other.end()});
    return WithHigh({other.rbegin(), other.rend()}, backwards);
  }
  return Fail(ErrorCode::kNotFound,
              fmt::format("wavelet '{}' is not known here; known are haar, db1 to db38, sym2 to "
                          "sym20, coif1 to coif17, dmey, and bior and rbio with 1.1, 1.3, 1.5, "
                          "2.2, 2.4, 2.6, 2.8, 3.1, 3.3, 3.5, 3.7, 3.9, 4.4, 5.5, 6.8",
                          name));
}

template <typename Number>
Result<void> ForEachSubBandIn(const Image& image, const WaveletFilters& filters, const Box& box,
                              const StationaryLevels& levels, const VisitSubBand& visit) {
  const int centre = static_cast<int>(filters.low.size() / 2);
  const Chain low = {{filters.low, centre}}, high = {{filters.high, centre}};
  Separable approximation;
  std::vector<std::size_t> axes;
  std::array<int, 3> whole = image.grid.size;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    whole[axis] += whole[axis] % 2;
    if (!levels.along[axis]) continue;
    approximation[axis] = low;
    axes.push_back(axis);
  }
  const int count = levels.start_level + levels.level;
  std::vector<Ranges> outs = {RangesOf(box)};  // of the last level, of the one before it, ...
  for (int i = 0; i < count; ++i)
    outs.push_back(SeenBy(approximation, outs.back(), whole, kPeriodic));
  const Ranges seen = outs.back();
  PartIn<Number> part;  // the approximation so far
  const auto visit_as_image = [&](const std::string& name, PartIn<Number> band, int level) {
    SubBand sub_band{name, ImageOf(std::move(band)), level};
    return visit(std::move(sub_band));  // the part is gone
  };
  std::string last_name;
  PartIn<Number> last;  // that without an H
  for (int i = 1; i <= count; ++i) {
    outs.pop_back();
    const auto along = [&](std::size_t axis, const Chain& filter, const Range& out) {
      return i == 1 ? Convolved<Number>(image, seen, whole, axis, filter, kPeriodic, out)
                    : Convolved(part, axis, filter, kPeriodic, out);
    };
    const VisitPart<Number> but_the_last = [&](const std::string& name,
                                               PartIn<Number> band) -> Result<void> {
      if (name.find('H') != std::string::npos)
        return visit_as_image(name, std::move(band), i - levels.start_level);
      last_name = name;
      if (i == count) last = std::move(band);  // else it is made again for the next level
      return {};
    };
    if (i > levels.start_level) {
      CONSILIUM_TRY(Decompose<Number>("", axes, along, low, high, RangesOf(box), but_the_last));
    }
    if (i == count) break;
    part = along(axes[0], low, outs.back()[axes[0]]);
    for (const std::size_t axis : std::span(axes).subspan(1))
      part = Convolved(part, axis, low, kPeriodic, outs.back()[axis]);
  }
  return visit_as_image(last_name, std::move(last), levels.level);
}

}  // namespace

Result<WaveletFilters> WaveletNamed(std::string_view name, Precision precision) {
  auto filters = DoubleNamed(name);
  CONSILIUM_TRY(filters);
  filters->precision = precision;
  if (precision == Precision::kSingle) {
    for (auto* taps : {&filters->low, &filters->high})
      RoundToSingle(*taps, name.starts_with("coif"));
  }
  return filters;
}

std::string PyradiomicsName(const SubBand& band) {
  return band.level == 1 ? "wavelet-" + band.name
                         : fmt::format("wavelet{}-{}", band.level, band.name);
}

Result<void> ForEachSubBand(const Image& image, const WaveletFilters& filters, const Box& box,
                            const StationaryLevels& levels, const VisitSubBand& visit) {
  return filters.precision == Precision::kSingle
             ? ForEachSubBandIn<float>(image, filters, box, levels, visit)
             : ForEachSubBandIn<double>(image, filters, box, levels, visit);
}

std::vector<SubBand> StationaryWavelet(const Image& image, const WaveletFilters& filters,
                                       const Box& box, const StationaryLevels& levels) {
  std::vector<SubBand> bands;
  const auto taken = ForEachSubBand(image, filters, box, levels, [&](SubBand band) -> Result<void> {
    bands.push_back(std::move(band));
    return {};
  });
  return taken ? bands : std::vector<SubBand>();  // the visitor never fails
}

}  // namespace consilium::engine
