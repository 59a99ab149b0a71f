// From activity in a PET image to standardised uptake values by body weight.
//
// SUV = activity concentration [Bq/ml] x body weight [g] / dose [Bq], the dose decayed to the time
// that the image's activity is corrected to. Which time that is follows the vendor-neutral rules of
// the QIBA FDG-PET profile (RSNA, 2013, appendix G). Source of the attributes: DICOM PS3.3 C.8.9.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace consilium::engine::dicom {

// What a PET series' headers say, dates and times as they write them.
struct PetHeader {
  std::string units;             // BQML, GML or CNTS
  std::string decay_correction;  // START, ADMIN or NONE
  std::string suv_type;          // of GML: BW or nothing
  std::optional<double> weight_kg, dose_bq, half_life_s;
  std::optional<double> philips_suv_factor;       // (7053,1000), SUV a count
  std::optional<double> philips_activity_factor;  // (7053,1009), Bq/ml a count
  std::string injection_date_time, injection_time;
  std::string series_date, series_time;
  std::string ge_scan_date_time;                   // (0009,100D)
  std::string acquisition_date, acquisition_time;  // of the earliest frame, and its:
  std::optional<double> reference_ms, duration_ms;
};

// What the values of the series (after slope and intercept) are multiplied with to be SUV.
// Errors: kFailedPrecondition (names the attribute that is missing or that says something else).
[[nodiscard]] Result<double> BodyWeightSuvFactor(const PetHeader& header);

}  // namespace consilium::engine::dicom
