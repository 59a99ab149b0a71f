#include "engine/filter/wavelet.h"

#include <fmt/format.h>

#include <numbers>
#include <utility>

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

// All combinations of low and high along the axes from `axis` on, in `out`.
template <typename Number>
Result<void> Decompose(const std::string& name, PartIn<Number> part, std::size_t axis,
                       const Kernel& low, const Kernel& high, const std::array<bool, 3>& along,
                       const Ranges& out, const VisitPart<Number>& visit) {
  while (axis < 3 && !along[axis]) ++axis;
  if (axis == 3) return visit(name, std::move(part));
  for (const auto& [letter, kernel] : {std::pair("L", &low), std::pair("H", &high)}) {
    CONSILIUM_TRY(Decompose(name + letter, Convolved(part, axis, {*kernel}, kPeriodic, out[axis]),
                            axis + 1, low, high, along, out, visit));
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
  const Kernel low{filters.low, centre}, high{filters.high, centre};
  Separable approximation;
  std::array<int, 3> whole = image.grid.size;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (levels.along[axis]) approximation[axis] = {low};
    whole[axis] += whole[axis] % 2;
  }
  const int count = levels.start_level + levels.level;
  std::vector<Ranges> outs = {RangesOf(box)};  // of the last level, of the one before it, ...
  for (int i = 0; i < count; ++i)
    outs.push_back(SeenBy(approximation, outs.back(), whole, kPeriodic));
  auto part = Taken<Number>(image, outs.back(), kPeriodic, whole);
  const auto visit_as_image = [&](const std::string& name, PartIn<Number> band, int level) {
    SubBand sub_band{name, ImageOf(std::move(band)), level};
    return visit(std::move(sub_band));  // the part is gone
  };
  std::string last_name;
  PartIn<Number> last;  // that without an H
  for (int i = 1; i <= count; ++i) {
    outs.pop_back();
    if (i > levels.start_level) {
      const VisitPart<Number> but_the_last = [&](const std::string& name,
                                                 PartIn<Number> band) -> Result<void> {
        if (name.find('H') != std::string::npos)
          return visit_as_image(name, std::move(band), i - levels.start_level);
        last_name = name;
        if (i == count) last = std::move(band);  // else it goes on as the next level
        return {};
      };
      if (i == count) {
        CONSILIUM_TRY(Decompose("", std::move(part), 0, low, high, levels.along, RangesOf(box),
                                but_the_last));
        break;
      }
      CONSILIUM_TRY(Decompose("", part, 0, low, high, levels.along, RangesOf(box), but_the_last));
    }
    for (std::size_t axis = 0; axis < 3; ++axis)
      part = Convolved(part, axis, approximation[axis], kPeriodic, outs.back()[axis]);
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
