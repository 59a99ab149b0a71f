#include "engine/dicom/suv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string_view>

#include "base/csv.h"
#include "base/portable_math.h"

namespace consilium::engine::dicom {
namespace {

constexpr double kDayS = 86400;

tl::unexpected<Error> Missing(std::string_view what) {
  return Fail(ErrorCode::kFailedPrecondition,
              fmt::format("{}, so there is no SUV; correct the header, or read the series without "
                          "conversion",
                          what));
}

std::optional<double> Digits(std::string_view text, std::size_t from, std::size_t count) {
  if (text.size() < from + count) return std::nullopt;
  const std::string_view digits = text.substr(from, count);
  if (digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  return ParseNumber(digits);
}

// Days since the first of 2000, so that seconds keep their decimals, of YYYYMMDD (Fliegel and van
// Flandern, CACM 11(10):657, 1968).
std::optional<double> DayOf(std::string_view date) {
  const auto y = Digits(date, 0, 4), m = Digits(date, 4, 2), d = Digits(date, 6, 2);
  if (!y || !m || !d) return std::nullopt;
  const int year = static_cast<int>(*y), month = static_cast<int>(*m);
  const int after = (month - 14) / 12;
  return *d + 1461 * (year + 4800 + after) / 4 + 367 * (month - 2 - 12 * after) / 12 -
         3 * ((year + 4900 + after) / 100) / 4 - 32075 - 2451545;
}

// Seconds since midnight, of HHMMSS.FFFFFF; what is left out at its end is 0.
std::optional<double> SecondOf(std::string_view time) {
  const auto hour = Digits(time, 0, 2);
  if (!hour) return std::nullopt;
  const double minute = Digits(time, 2, 2).value_or(0);
  std::string_view seconds = time.substr(std::min<std::size_t>(time.size(), 4));
  seconds = seconds.substr(0, seconds.find_first_of("+-&"));
  return *hour * 3600 + minute * 60 + ParseNumber(seconds).value_or(0);
}

std::optional<double> TimeOf(std::string_view date, std::string_view time) {
  const auto day = DayOf(date), second = SecondOf(time);
  if (!day || !second) return std::nullopt;
  return *day * kDayS + *second;
}

std::optional<double> TimeOf(std::string_view date_time) {
  return TimeOf(date_time.substr(0, 8),
                date_time.substr(std::min<std::size_t>(date_time.size(), 8)));
}

// The time that decay correction START refers to: that of the series if it is not later than the
// first acquisition (a series made afterwards has its own), else what GE writes, else back from the
// frame's mean time of decay.
std::optional<double> ScanStart(const PetHeader& header, double decay_per_s) {
  const auto series = TimeOf(header.series_date, header.series_time);
  const auto acquisition = TimeOf(header.acquisition_date, header.acquisition_time);
  if (series && (!acquisition || *series <= *acquisition)) return series;
  if (const auto ge = TimeOf(header.ge_scan_date_time)) return ge;
  if (!acquisition || !header.reference_ms || !header.duration_ms || !(*header.duration_ms > 0))
    return std::nullopt;
  const double decayed = decay_per_s * *header.duration_ms / 1000;
  const double mean_s = Log(decayed / (1 - Exp(-decayed))) / decay_per_s;
  return *acquisition - *header.reference_ms / 1000 + mean_s;
}

bool Positive(const std::optional<double>& number) { return number && *number > 0; }

}  // namespace

Result<double> BodyWeightSuvFactor(const PetHeader& header) {
  double to_activity = 1;
  if (header.units == "GML") {
    if (header.suv_type.empty() || header.suv_type == "BW") return 1.0;
    return Missing(fmt::format("SUVType (0054,1006) is {}, expected BW", header.suv_type));
  }
  if (header.units == "CNTS") {
    if (Positive(header.philips_suv_factor)) return *header.philips_suv_factor;
    if (!Positive(header.philips_activity_factor)) {
      return Missing(
          "Units (0054,1001) is CNTS and the factors (7053,1000) and (7053,1009) are not "
          "there");
    }
    to_activity = *header.philips_activity_factor;
  } else if (header.units != "BQML") {
    return Missing(
        fmt::format("Units (0054,1001) is '{}', expected BQML, GML or CNTS", header.units));
  }
  if (!Positive(header.weight_kg)) return Missing("PatientWeight (0010,1030) is not there");
  if (!Positive(header.dose_bq)) return Missing("RadionuclideTotalDose (0018,1074) is not there");
  constexpr double kDoseBqMin = 1e5;  // no dose is that small: it was written in MBq
  if (*header.dose_bq < kDoseBqMin)
    return Missing("RadionuclideTotalDose (0018,1074) is below 100,000 Bq: is it in MBq?");
  const double uptake = to_activity * *header.weight_kg * 1000 / *header.dose_bq;
  if (header.decay_correction == "ADMIN") return uptake;
  if (header.decay_correction != "START") {
    return Missing(fmt::format("DecayCorrection (0054,1102) is '{}', expected START or ADMIN",
                               header.decay_correction));
  }
  if (!Positive(header.half_life_s))
    return Missing("RadionuclideHalfLife (0018,1075) is not there");
  const double decay_per_s = std::numbers::ln2 / *header.half_life_s;
  const auto start = ScanStart(header, decay_per_s);
  if (!start) {
    return Missing(
        "SeriesTime (0008,0031) is not there or later than the acquisition, and nothing "
        "else says when the scan began");
  }
  auto injection = TimeOf(header.injection_date_time);
  if (!injection) {
    // Only a time of the day: that of the scan's day, or of the day before.
    const auto second = SecondOf(header.injection_time);
    if (!second) return Missing("RadiopharmaceuticalStartTime (0018,1072) is not there");
    injection = std::floor(*start / kDayS) * kDayS + *second;
    if (*injection > *start) *injection -= kDayS;
  }
  const double waited_s = *start - *injection;
  if (!(waited_s >= 0 && waited_s < kDayS)) {
    return Missing(
        "the scan did not begin within a day after RadiopharmaceuticalStartDateTime "
        "(0018,1078)");
  }
  return uptake * Exp(decay_per_s * waited_s);
}

}  // namespace consilium::engine::dicom
