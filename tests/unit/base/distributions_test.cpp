#include "base/distributions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace consilium {
namespace {

// The reference values below were computed with 60 decimal digits (mpmath: erfc, regularised
// incomplete beta and gamma functions, bisection for quantiles) and rounded once.
struct NormalValue {
  double x;
  double upper_tail;
};
constexpr NormalValue kNormalTails[] = {
    {0.001, 0.49960105778608893},
    {0.5, 0.3085375387259869},
    {1.0, 0.15865525393145705},
    {1.6448536269514722, 0.05000000000000005},
    {1.959963984540054, 0.025000000000000012},
    {2.999999, 0.0013499024634851548},
    {3.0, 0.0013498980316300946},
    {3.0001, 0.0013494549132607172},
    {4.5, 3.3976731247300603e-06},
    {8.0, 6.220960574271784e-16},
    {20.0, 2.7536241186062337e-89},
    {37.0, 5.725571222524577e-300},
};
struct NormalQuantileValue {
  double tail;
  double x;
};
constexpr NormalQuantileValue kNormalQuantiles[] = {
    {0.4999, 0.00025066283008800747}, {0.3, 0.5244005127080408},  {0.11, 1.22652812003661},
    {0.0999, 1.2821215797087744},     {0.05, 1.6448536269514726}, {0.025, 1.9599639845400543},
    {0.005, 2.575829303548901},       {1e-10, 6.361340902404057}, {1e-300, 37.0470962993612},
};
struct StudentValue {
  int df;
  double t;
  double upper_tail;
};
constexpr StudentValue kStudentTails[] = {
    {1, 0.01, 0.49681700723509176},     {1, 0.9, 0.2667377083565741},
    {1, 1.1, 0.23485382781163183},      {1, 2.5, 0.1211189415908434},
    {1, 12.0, 0.026464676059589874},    {1, 100000.0, 3.1830988617318035e-06},
    {2, 0.01, 0.4964645544791005},      {2, 0.9, 0.2315525061776479},
    {2, 1.1, 0.19301993529772882},      {2, 2.5, 0.0648058601107554},
    {2, 12.0, 0.00343646683857923},     {2, 100000.0, 4.99999999925e-11},
    {3, 0.01, 0.496324555706426},       {3, 0.9, 0.21722551620901853},
    {3, 1.1, 0.17584159746732547},      {3, 2.5, 0.04385332350403277},
    {3, 12.0, 0.0006225079003946683},   {3, 100000.0, 1.1026577904466273e-15},
    {4, 0.01, 0.4962500781229493},      {4, 0.9, 0.20950275960404224},
    {4, 1.1, 0.16654182477377696},      {4, 2.5, 0.03338327240599407},
    {4, 12.0, 0.00013821427425148649},  {4, 100000.0, 2.999999998e-20},
    {5, 0.01, 0.49620400902129097},     {5, 0.9, 0.20468560017231197},
    {5, 1.1, 0.1607254104963168},       {5, 2.5, 0.02724504967118812},
    {5, 12.0, 3.544746258580761e-05},   {5, 100000.0, 9.490167235394325e-25},
    {9, 0.01, 0.49611972276816263},     {9, 0.9, 0.19578265846638332},
    {9, 1.1, 0.1499413809284031},       {9, 2.5, 0.01693091384149287},
    {9, 12.0, 3.849943111492826e-07},   {9, 100000.0, 2.545897027733488e-42},
    {10, 0.01, 0.4961089874954857},     {10, 0.9, 0.1946396310030412},
    {10, 1.1, 0.14855341103405967},     {10, 2.5, 0.015723422118304402},
    {10, 12.0, 1.4607044123849935e-07}, {10, 100000.0, 1.2304687443603515e-46},
    {30, 0.01, 0.49604374628658887},    {30, 0.9, 0.18764414338688404},
    {30, 1.1, 0.1400404590438199},      {30, 2.5, 0.009057824534033348},
    {30, 12.0, 2.790092707599628e-13},  {30, 100000.0, 1.0364534200733144e-129},
    {101, 0.01, 0.49602050661443087},   {101, 0.9, 0.18513056497100075},
    {101, 1.1, 0.13697352308710414},    {101, 2.5, 0.007014660676282063},
    {101, 12.0, 1.88585644167917e-21},  {1000, 0.01, 0.4960116409660936},
    {1000, 0.9, 0.18416846349210128},   {1000, 1.1, 0.13579842569598902},
    {1000, 2.5, 0.006289283900545398},  {1000, 12.0, 2.1620286933872636e-31},
};
struct StudentQuantileValue {
  int df;
  double tail;
  double t;
};
constexpr StudentQuantileValue kStudentQuantiles[] = {
    {1, 0.4999, 0.0003141592756943707},   {1, 0.3, 0.7265425280053609},
    {1, 0.1, 3.077683537175253},          {1, 0.05, 6.313751514675043},
    {1, 0.025, 12.706204736174705},       {1, 0.005, 63.65674116287158},
    {1, 1e-10, 3183098861.837907},        {2, 0.4999, 0.0002828427181314423},
    {2, 0.3, 0.6172133998483676},         {2, 0.1, 1.8856180831641267},
    {2, 0.05, 2.9199855803537256},        {2, 0.025, 4.302652729749464},
    {2, 0.005, 9.924843200918293},        {2, 1e-10, 70710.67810804815},
    {3, 0.4999, 0.00027206990911047337},  {3, 0.3, 0.5843897274398187},
    {3, 0.1, 1.63774435369621},           {3, 0.05, 2.3533634348018238},
    {3, 0.025, 3.1824463052837095},       {3, 0.005, 5.840909309733357},
    {3, 1e-10, 2225.7692846830932},       {4, 0.4999, 0.0002666666706172547},
    {4, 0.3, 0.5686490630497055},         {4, 0.1, 1.5332062740589438},
    {4, 0.05, 2.1318467863266504},        {4, 0.025, 2.7764451051977943},
    {4, 0.005, 4.604094871349993},        {4, 1e-10, 416.1751403296041},
    {5, 0.4999, 0.0002634305560701855},   {5, 0.3, 0.5594296444693608},
    {5, 0.1, 1.475884048824481},          {5, 0.05, 2.0150483733330242},
    {5, 0.025, 2.5705818356363155},       {5, 0.005, 4.032142983555228},
    {5, 1e-10, 156.8255927088943},        {7, 0.4999, 0.00025974603090254505},
    {7, 0.3, 0.5491096579472851},         {7, 0.1, 1.4149239276505083},
    {7, 0.05, 1.8945786050900073},        {7, 0.025, 2.3646242515927853},
    {7, 0.005, 3.499483297350494},        {7, 1e-10, 53.83557948467373},
    {29, 0.4999, 0.00025283262635095454}, {29, 0.3, 0.5302143957091608},
    {29, 0.1, 1.311433647301551},         {29, 0.05, 1.6991270265334977},
    {29, 0.025, 2.0452296421327043},      {29, 0.005, 2.7563859036706053},
    {29, 1e-10, 9.51796550493783},        {120, 0.4999, 0.00025118558264521686},
    {120, 0.3, 0.5257963906071054},       {120, 0.1, 1.288646233656378},
    {120, 0.05, 1.6576508993552357},      {120, 0.025, 1.979930405082441},
    {120, 0.005, 2.617421145106866},      {120, 1e-10, 6.953862245486066},
};
struct ChiSquareValue {
  int df;
  double x;
  double upper_tail;
};
constexpr ChiSquareValue kChiSquareTails[] = {
    {1, 0.001, 0.9747728793699604},
    {1, 0.7, 0.4027836942464757},
    {1, 8.66773451661677, 0.0032389360208816297},
    {1, 40.0, 2.539628589470865e-10},
    {1, 700.0, 2.9902269751246203e-154},
    {2, 0.001, 0.9995001249791693},
    {2, 0.7, 0.7046880897187134},
    {2, 8.66773451661677, 0.013116723520698878},
    {2, 40.0, 2.061153622438558e-09},
    {2, 700.0, 9.92959039626498e-153},
    {3, 0.001, 0.9999915920809419},
    {3, 0.7, 0.8732039490639542},
    {3, 8.66773451661677, 0.034050818046513644},
    {3, 40.0, 1.0655090334255861e-08},
    {3, 700.0, 2.0991308534204087e-151},
    {4, 0.001, 0.9999998750416589},
    {4, 0.7, 0.9513289211202631},
    {4, 8.66773451661677, 0.06996286212333923},
    {4, 40.0, 4.3284226071209714e-08},
    {4, 700.0, 3.4852862290890077e-150},
    {7, 0.001, 0.9999999999997597},
    {7, 0.7, 0.9983357368454033},
    {7, 8.66773451661677, 0.27739955842681896},
    {7, 40.0, 1.2587903873713088e-06},
    {7, 700.0, 6.896512574090327e-147},
    {20, 0.001, 1.0},
    {20, 0.7, 0.9999999999944675},
    {20, 8.66773451661677, 0.9864459144713286},
    {20, 40.0, 0.004995412308307587},
    {20, 700.0, 2.213405340424449e-135},
    {51, 0.001, 1.0},
    {51, 0.7, 1.0},
    {51, 8.66773451661677, 0.99999999999654},
    {51, 40.0, 0.8668774420240073},
    {51, 700.0, 7.387735986165823e-115},
};

double RelativeError(double value, double exact) { return std::fabs(value - exact) / exact; }

TEST(Distributions, NormalTailsKeepTwelveDigitsOnBothSides) {
  for (const NormalValue& reference : kNormalTails) {
    EXPECT_LT(RelativeError(NormalCdf(-reference.x), reference.upper_tail), 1e-12) << reference.x;
    EXPECT_LT(std::fabs(NormalCdf(reference.x) - (1 - reference.upper_tail)), 3e-16) << reference.x;
  }
  EXPECT_EQ(NormalCdf(0), 0.5);
  EXPECT_EQ(NormalCdf(50), 1);
  EXPECT_EQ(NormalCdf(-50), 0);
}

TEST(Distributions, NormalAgreesWithLibmsErfcEverywhere) {  // another road, on a fine grid
  for (int i = -3700; i <= 800; ++i) {
    const double x = 0.01 * i;
    const long double exact = 0.5L * std::erfc(-static_cast<long double>(x) / std::sqrt(2.0L));
    EXPECT_LT(RelativeError(NormalCdf(x), static_cast<double>(exact)), 1e-12) << x;
  }
}

TEST(Distributions, NormalQuantilesKeepTwelveDigits) {
  for (const NormalQuantileValue& reference : kNormalQuantiles) {
    EXPECT_LT(RelativeError(-NormalQuantile(reference.tail), reference.x), 1e-12) << reference.tail;
  }
  EXPECT_LT(RelativeError(NormalTwoSided(0.95), 1.959963984540054), 1e-15);
  EXPECT_EQ(NormalQuantile(0.5), 0);
  EXPECT_EQ(NormalQuantile(0), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(NormalQuantile(1), std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(NormalQuantile(1.1)));
}

// R 4.2's qf(probability, numerator, denominator).
struct FValue {
  double probability, numerator, denominator, x;
};
constexpr FValue kFQuantiles[] = {
    {0.001, 5.0, 18.0, 0.03911180000292154},   {0.025, 5.0, 18.0, 0.15718616136624455},
    {0.5, 5.0, 18.0, 0.9038072645345164},      {0.975, 5.0, 18.0, 3.381967805875243},
    {0.9999, 5.0, 18.0, 10.073185935354935},   {0.001, 5.0, 15.0, 0.038593907391634596},
    {0.025, 5.0, 15.0, 0.15557596307848698},   {0.5, 5.0, 15.0, 0.9107243052969773},
    {0.975, 5.0, 15.0, 3.5764153492790602},    {0.9999, 5.0, 15.0, 11.621071341400835},
    {0.001, 1.0, 1.0, 2.4674051590789503e-06}, {0.025, 1.0, 1.0, 0.0015437125086741332},
    {0.5, 1.0, 1.0, 1.0000000000000004},       {0.975, 1.0, 1.0, 647.789011477844},
    {0.9999, 1.0, 1.0, 40528472.79027735},     {0.001, 2.5, 7.25, 0.003416490611334821},
    {0.025, 2.5, 7.25, 0.04631165292375028},   {0.5, 2.5, 7.25, 0.8252914774206546},
    {0.975, 2.5, 7.25, 6.025978544381701},     {0.9999, 2.5, 7.25, 38.72338072253928},
    {0.001, 3.7, 0.8, 0.010433834292269418},   {0.025, 3.7, 0.8, 0.07198062953268235},
    {0.5, 3.7, 0.8, 2.2388302223292476},       {0.975, 3.7, 0.8, 4636.2838110358825},
    {0.9999, 3.7, 0.8, 4581973622.115243},     {0.001, 30.0, 1000.0, 0.3831359985617677},
    {0.025, 30.0, 1000.0, 0.5565912796512862}, {0.5, 30.0, 1000.0, 0.9785212321358132},
    {0.975, 30.0, 1000.0, 1.5808331592906808}, {0.9999, 30.0, 1000.0, 2.2993855444625177},
    {0.001, 999.0, 2.0, 0.14376613348990852},  {0.025, 999.0, 2.0, 0.27008526176912634},
    {0.5, 999.0, 2.0, 1.4416942713998082},     {0.975, 999.0, 2.0, 39.49688921266236},
    {0.9999, 999.0, 2.0, 9999.498990666378},   {0.001, 120.0, 4.77, 0.22121829486475578},
    {0.025, 120.0, 4.77, 0.3679210060437598},  {0.5, 120.0, 4.77, 1.150571457533434},
    {0.975, 120.0, 4.77, 6.450948010918769},   {0.9999, 120.0, 4.77, 72.31229066579037},
};

TEST(Distributions, FQuantilesAreThoseOfRForRealDegreesOfFreedom) {
  for (const FValue& reference : kFQuantiles) {
    const FDegrees df{reference.numerator, reference.denominator};
    EXPECT_LT(RelativeError(FQuantile(reference.probability, df), reference.x), 1e-10)
        << reference.probability << " " << df.numerator << " " << df.denominator;
    EXPECT_LT(RelativeError(FUpperTail(reference.x, df), 1 - reference.probability), 1e-10);
  }
}

TEST(Distributions, FOfOneDegreeIsStudentsSquared) {
  for (const int df : {1, 2, 7, 60, 999}) {
    for (const double t : {0.01, 0.7, 2.0, 11.0}) {
      EXPECT_LT(
          RelativeError(FUpperTail(t * t, {1, static_cast<double>(df)}), 2 * StudentTCdf(-t, df)),
          1e-11)
          << df << " " << t;
    }
  }
}

// Denominators far beyond where the series is left for the fraction; numerators of 2 and 4 have
// closed forms. Logarithms of gamma functions grow with df, and lose digits as they do.
TEST(Distributions, FAgreesWithItsClosedFormsForManyDegreesOfFreedom) {
  for (const double df : {900.0, 1990.0, 1998.0, 5000.0, 1e5, 1e7}) {
    const double tolerance = 1e-11 + df * 1e-14;
    for (const double f : {0.02, 0.9, 1.1, 3.0, 9.0}) {
      const double two = std::exp(-df / 2 * std::log1p(2 * f / df));
      EXPECT_LT(RelativeError(FUpperTail(f, {2, df}), two), tolerance) << df << " " << f;
      const double rest = df / (df + 4 * f), four = -df / 2 * std::log1p(4 * f / df);
      EXPECT_LT(RelativeError(FUpperTail(f, {4, df}), std::exp(four) * (1 + df / 2 * (1 - rest))),
                tolerance)
          << df << " " << f;
    }
    EXPECT_NEAR(FUpperTail(1, {df, df}), 0.5, tolerance);
    const double x = FQuantile(0.975, {df, df});
    EXPECT_NEAR(FUpperTail(x, {df, df}), 0.025, tolerance);
    EXPECT_NEAR(FQuantile(0.025, {df, df}) * x, 1, tolerance);
  }
}

TEST(Distributions, FKnowsItsEnds) {
  EXPECT_EQ(FQuantile(0, {3, 4}), 0);
  EXPECT_EQ(FQuantile(1, {3, 4}), std::numeric_limits<double>::infinity());
  EXPECT_EQ(FUpperTail(0, {3, 4}), 1);
  EXPECT_EQ(FUpperTail(std::numeric_limits<double>::infinity(), {3, 4}), 0);
  EXPECT_TRUE(std::isnan(FQuantile(0.5, {0, 4})));
  EXPECT_TRUE(std::isnan(FQuantile(1.5, {3, 4})));
  EXPECT_TRUE(std::isnan(FUpperTail(1, {3, -1})));
}

TEST(Distributions, StudentTailsKeepTwelveDigitsForEveryDegreeOfFreedom) {
  for (const StudentValue& reference : kStudentTails) {
    EXPECT_LT(RelativeError(StudentTCdf(-reference.t, reference.df), reference.upper_tail), 1e-12)
        << "df " << reference.df << ", t " << reference.t;
  }
  EXPECT_EQ(StudentTCdf(0, 3), 0.5);
  EXPECT_TRUE(std::isnan(StudentTCdf(1, 0)));
  EXPECT_EQ(StudentTCdf(-std::numeric_limits<double>::infinity(), 2), 0);
}

TEST(Distributions, StudentAgreesWithItsClosedFormsForOneAndTwoDegreesOfFreedom) {
  for (int i = -400; i <= 400; ++i) {
    const long double t = 0.05L * i;
    const long double one = 0.5L + std::atan(t) / std::acos(-1.0L);
    const long double two = 0.5L + t / (2 * std::sqrt(2 + t * t));
    EXPECT_NEAR(StudentTCdf(static_cast<double>(t), 1), static_cast<double>(one), 1e-15);
    EXPECT_NEAR(StudentTCdf(static_cast<double>(t), 2), static_cast<double>(two), 1e-15);
  }
}

TEST(Distributions, StudentQuantilesKeepTwelveDigits) {
  for (const StudentQuantileValue& reference : kStudentQuantiles) {
    EXPECT_LT(RelativeError(-StudentTQuantile(reference.tail, reference.df), reference.t), 1e-12)
        << "df " << reference.df << ", tail " << reference.tail;
    EXPECT_EQ(StudentTQuantile(1 - 0.25, reference.df), -StudentTQuantile(0.25, reference.df));
  }
  EXPECT_NEAR(StudentTTwoSided(0.95, 1), 12.706204736174707, 1e-12);
  EXPECT_TRUE(std::isnan(StudentTQuantile(0.5, 0)));
}

TEST(Distributions, StudentQuantilesFallTowardsTheNormalOnes) {
  double before = std::numeric_limits<double>::infinity();
  for (int df = 1; df <= 200; ++df) {
    const double now = StudentTTwoSided(0.95, df);
    EXPECT_LT(now, before) << df;
    EXPECT_GT(now, NormalTwoSided(0.95)) << df;
    before = now;
  }
}

TEST(Distributions, ChiSquareTailsKeepTwelveDigits) {
  for (const ChiSquareValue& reference : kChiSquareTails) {
    EXPECT_LT(RelativeError(ChiSquareUpperTail(reference.x, reference.df), reference.upper_tail),
              1e-12)
        << "df " << reference.df << ", x " << reference.x;
  }
  EXPECT_EQ(ChiSquareUpperTail(0, 2), 1);
  EXPECT_EQ(ChiSquareUpperTail(-1, 2), 1);
  EXPECT_TRUE(std::isnan(ChiSquareUpperTail(1, 0)));
}

}  // namespace
}  // namespace consilium
