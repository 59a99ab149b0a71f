// How well repeated measurements of the same subjects agree, from sums.
//
// Notation: n subjects, k measurements of each (readers, scans, perturbations), x_ij; MSR, MSC, MSE
// mean squares between subjects, between measurements and of the rest; MSW the mean square within
// subjects. All of it follows from sums over subjects, so what hospitals hold apart adds up to what
// they would find together. Sources: Shrout & Fleiss, Psychological Bulletin 86:420-428, 1979;
// McGraw & Wong, Psychological Methods 1:30-46, 1996, tables 4 and 7; Lin, Biometrics 45:255-268,
// 1989, with the correction of 56:324-325, 2000; Bland & Altman, Lancet 327:307-310, 1986, and
// Statistical Methods in Medical Research 8:135-160, 1999.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"

namespace consilium {

// A two-sided confidence interval.
struct Limits {
  double low = 0, high = 0;
};
// A figure with its interval; none where the method has no answer.
struct Agreement {
  double value = 0;
  std::optional<Limits> interval;
};

// What a set of subjects contributes. Values are taken from `centre`, which all who add must share:
// 0, or better a value near the mean, for squares of far-off numbers lose digits.
struct RepeatSums {
  double centre = 0;
  std::int64_t subjects = 0;      // n
  std::vector<double> by_repeat;  // [k] sum over subjects
  double subject_squares = 0;     // sum over subjects of (sum over repeats)^2 / k
  double squares = 0;             // sum of all squares
  double relative_variances = 0;  // sum of s_i^2 / m_i^2, from 0; not finite if a mean is 0
};
// values [n x k], by subject. Errors: kInvalidArgument (k < 2, n k values are not given, or one is
// not finite).
[[nodiscard]] Result<RepeatSums> SumRepeats(std::span<const double> values, int repeats,
                                            double centre = 0);
// Errors: kInvalidArgument (other k or centre).
[[nodiscard]] Result<RepeatSums> Together(const RepeatSums& a, const RepeatSums& b);

// The same sums about another centre.
[[nodiscard]] RepeatSums Recentred(const RepeatSums& sums, double centre);

// The analysis of variance of one block of subjects by repeats, or of several blocks (hospitals),
// each about its own means: sums of squares and degrees of freedom of blocks add up.
struct Anova {
  int repeats = 0;                                             // k
  std::int64_t blocks = 0;                                     // b
  std::int64_t subjects = 0;                                   // n over all blocks
  double between_subjects = 0, between_repeats = 0, rest = 0;  // sums of squares

  // NaN where nothing is left to divide by.
  [[nodiscard]] double subject_df() const { return static_cast<double>(subjects - blocks); }
  [[nodiscard]] double repeat_df() const { return static_cast<double>(blocks) * (repeats - 1); }
  [[nodiscard]] double rest_df() const { return subject_df() * (repeats - 1); }
  [[nodiscard]] double within_df() const { return static_cast<double>(subjects) * (repeats - 1); }
  [[nodiscard]] double msr() const { return between_subjects / subject_df(); }
  [[nodiscard]] double msc() const { return between_repeats / repeat_df(); }
  [[nodiscard]] double mse() const { return rest / rest_df(); }
  [[nodiscard]] double msw() const { return (between_repeats + rest) / within_df(); }
};
// One block: subjects of all hospitals about common means. Errors: kFailedPrecondition (n < 2).
[[nodiscard]] Result<Anova> AnovaOf(const RepeatSums& sums);
// Both as blocks. Errors: kInvalidArgument (other k).
[[nodiscard]] Result<Anova> AsBlocks(const Anova& a, const Anova& b);

// Intraclass correlations of a single measurement.
enum class IccForm {
  kOneWay,       // ICC(1,1): the measurements of a subject have no order
  kAgreement,    // ICC(2,1) = ICC(A,1): measurements are the same few for all; their shift counts
  kConsistency,  // ICC(3,1) = ICC(C,1): their shift does not count
};
// Intervals by F; with several blocks the same formulas with the blocks' degrees of freedom, and
// n / b for n where shifts between measurements are weighed (their expected mean square holds n / b
// times their variance). Where ICC(2,1) comes out below 0 its interval, which rests on
// Satterthwaite's approximation, may lie beside it, or be none (below 0.01 degrees of freedom). No
// interval for a level outside (0, 1). NaN without any variance.
[[nodiscard]] Agreement IccOf(const Anova& anova, IccForm form, double level = 0.95);

// Of the same quantity in the same units; all from the mean square within subjects.
struct Repeatability {
  double within_subject_sd = 0;  // sqrt(MSW)
  double coefficient = 0;        // 1.96 sqrt(2) sqrt(MSW): two measurements of a subject
                                 // differ by less in 95 of 100 cases
  double within_subject_cv = 0;  // sqrt(mean of s_i^2 / m_i^2); NaN if a subject's mean is 0
};
// Errors: kFailedPrecondition (n < 2).
[[nodiscard]] Result<Repeatability> RepeatabilityOf(const RepeatSums& sums);

// What pairs (x, y) contribute, taken from `centre` as in RepeatSums.
struct PairSums {
  double centre = 0;
  std::int64_t pairs = 0;               // n
  double x = 0, y = 0, xx = 0, yy = 0;  // sums
  double difference_squares = 0;        // sum of (x - y)^2
};
// Errors: kInvalidArgument (unequal lengths, a value is not finite).
[[nodiscard]] Result<PairSums> SumPairs(std::span<const double> x, std::span<const double> y,
                                        double centre = 0);
// Errors: kInvalidArgument (other centres).
[[nodiscard]] Result<PairSums> Together(const PairSums& a, const PairSums& b);

// Lin's concordance correlation, moments divided by n; interval by its inverse hyperbolic tangent.
// No interval below 3 pairs, or where all pairs are on a line. Errors: kFailedPrecondition (n < 2,
// or neither x nor y varies).
[[nodiscard]] Result<Agreement> ConcordanceOf(const PairSums& sums, double level = 0.95);

// The overall concordance correlation of k repeats (Barnhart, Haber & Song, Biometrics
// 58:1020-1027, 2002): twice the covariances of all pairs of repeats, relative to k - 1 times all
// variances and the squared differences of all pairs' means; moments divided by n. Lin's where
// k = 2. Errors: kFailedPrecondition (n < 2, or no value differs from another).
[[nodiscard]] Result<double> OverallConcordanceOf(const RepeatSums& sums);

// Differences x - y: mean +- z SD, with the intervals of the mean (t sqrt(s^2 / n)) and of both
// limits (t sqrt(3 s^2 / n)).
struct BlandAltman {
  Agreement mean, low, high;
  double sd = 0;  // divides by n - 1
};
// `level` is that of the limits and of their intervals, in (0, 1). Errors: kInvalidArgument
// (level), kFailedPrecondition (n < 2).
[[nodiscard]] Result<BlandAltman> LimitsOfAgreement(const PairSums& sums, double level = 0.95);

}  // namespace consilium
