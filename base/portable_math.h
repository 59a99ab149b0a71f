// exp and log with the same bits on every x86-64, because glibc picks FMA variants by CPU.
//
// Only +, -, *, / and sqrt on doubles (exact by IEEE 754) and integer operations are used; compile
// with -ffp-contract=off. Error below 1 ulp over the whole range (measured by the unit test against
// libm).
#pragma once

namespace consilium {

// e^x; overflows to +inf above 709.78, underflows to 0 below -745.13; NaN stays NaN.
[[nodiscard]] double Exp(double x);
// Natural logarithm; log(0) = -inf, log(negative) = NaN.
[[nodiscard]] double Log(double x);
// log(1 + x), accurate near 0.
[[nodiscard]] double Log1p(double x);
// 1 / (1 + e^-x), without overflow on either side.
[[nodiscard]] double Expit(double x);
// log(p / (1 - p)).
[[nodiscard]] double Logit(double p);
// log(1 + e^x), without overflow.
[[nodiscard]] double SoftPlus(double x);

}  // namespace consilium
