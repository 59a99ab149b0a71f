// The factor from activity to SUV, by every way that headers say it.
#include "engine/dicom/suv.h"

#include <gtest/gtest.h>

#include <cmath>

namespace consilium::engine::dicom {
namespace {

constexpr double kHalfLife = 6586.2;

PetHeader Header() {
  PetHeader header;
  header.units = "BQML";
  header.decay_correction = "START";
  header.weight_kg = 80;
  header.dose_bq = 4e8;
  header.half_life_s = kHalfLife;
  header.injection_time = "101500.00";
  header.series_date = "20191231";
  header.series_time = "111500";
  header.acquisition_date = "20191231";
  header.acquisition_time = "111503";
  return header;
}

double After(double seconds) { return 80000 / (4e8 * std::exp2(-seconds / kHalfLife)); }

void ExpectFactor(const PetHeader& header, double expected, double tolerance = 1e-14) {
  const auto factor = BodyWeightSuvFactor(header);
  ASSERT_TRUE(factor.has_value()) << factor.error().message;
  EXPECT_NEAR(*factor, expected, tolerance * expected);
}

void ExpectRefused(const PetHeader& header, const std::string& word) {
  const auto factor = BodyWeightSuvFactor(header);
  ASSERT_FALSE(factor.has_value()) << word;
  EXPECT_EQ(factor.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(factor.error().message.find(word), std::string::npos) << factor.error().message;
}

TEST(Suv, DecaysTheDoseToTheStartOfTheSeries) { ExpectFactor(Header(), After(3600)); }

TEST(Suv, DoesNotDecayWhatWasCorrectedToTheInjection) {
  PetHeader header = Header();
  header.decay_correction = "ADMIN";
  ExpectFactor(header, After(0));
  header.half_life_s.reset();
  ExpectFactor(header, After(0));
}

TEST(Suv, KnowsMidnightAndTheEndOfAYearFromADateAndTime) {
  PetHeader header = Header();
  header.series_date = header.acquisition_date = "20200101";
  header.series_time = "000500";
  header.acquisition_time = "000501";
  header.injection_date_time = "20191231233500.000+0100";
  ExpectFactor(header, After(1800));
  header.injection_date_time.clear();
  header.injection_time = "233500";
  ExpectFactor(header, After(1800));
}

TEST(Suv, OfASeriesMadeLaterGoesByTheAcquisition) {
  PetHeader header = Header();
  header.series_time = "180000";
  ExpectRefused(header, "SeriesTime (0008,0031)");
  header.ge_scan_date_time = "20191231111500.00";
  ExpectFactor(header, After(3600));
  // The second bed: its reference time is 300 s after the start, and so is its mean time of decay.
  header.ge_scan_date_time.clear();
  header.reference_ms = 300000;
  header.duration_ms = 180000;
  const double decay = std::log(2) / kHalfLife, decayed = decay * 180;
  const double mean = std::log(decayed / (1 - std::exp(-decayed))) / decay;
  ExpectFactor(header, After(3603 - 300 + mean), 1e-11);  // 1e-7 s: seconds since 2000
}

TEST(Suv, IsTakenAsItIsOrByTheVendorsFactors) {
  PetHeader header;
  header.units = "GML";
  ExpectFactor(header, 1);
  header.suv_type = "LBM";
  ExpectRefused(header, "SUVType (0054,1006) is LBM");
  header = Header();
  header.units = "CNTS";
  ExpectRefused(header, "(7053,1000)");
  header.philips_activity_factor = 2.5;
  ExpectFactor(header, 2.5 * After(3600));
  header.philips_suv_factor = 0.001;
  ExpectFactor(header, 0.001);
  header.units = "CPS";
  ExpectRefused(header, "Units (0054,1001) is 'CPS'");
}

TEST(Suv, NamesWhatIsMissing) {
  const auto without = [](auto change, const std::string& word) {
    PetHeader header = Header();
    change(header);
    ExpectRefused(header, word);
  };
  without([](PetHeader& h) { h.weight_kg.reset(); }, "PatientWeight");
  without([](PetHeader& h) { h.dose_bq.reset(); }, "RadionuclideTotalDose (0018,1074) is not");
  without([](PetHeader& h) { h.dose_bq = 370; }, "in MBq");
  without([](PetHeader& h) { h.half_life_s = 0; }, "RadionuclideHalfLife");
  without([](PetHeader& h) { h.decay_correction = "NONE"; }, "DecayCorrection");
  without([](PetHeader& h) { h.injection_time = "later"; }, "RadiopharmaceuticalStartTime");
  without([](PetHeader& h) { h.injection_date_time = "20191201101500"; }, "within a day");
  without([](PetHeader& h) { h.series_date = "2019"; }, "SeriesTime");
}

}  // namespace
}  // namespace consilium::engine::dicom
