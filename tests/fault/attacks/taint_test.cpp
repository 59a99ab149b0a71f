// One patient is marked with numbers that nobody else has, and every byte that leaves is searched.
//
// A mark is searched for as a double (both byte orders), in every fixed-point grid that answers
// use, as it is, centred and standardised, squared, and as decimal text; identifiers as text.
// Answers are searched in the clear as well: masks hide, but the promise is about sums.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <set>
#include <unordered_set>

#include "federation/fixed_point.h"
#include "tests/fault/attacks/attack_federation.h"

namespace consilium::attacks {
namespace {

using federation::Cohort;

constexpr int kMarkedRow = 7;
const char* const kMarkedSite = "B";
const char* const kMarkedPatient = "Zebedee-4711-Quux";

// Six features and an age with 52 busy bits each, of ordinary size.
std::vector<double> Marks() {
  std::vector<double> marks;
  const std::uint64_t mantissas[] = {0x7A5C3E1D2B4F6, 0x3F9D8B6A7C5E1, 0xB1E6D4C8A29F3,
                                     0x5D7E9A3C6B8F1, 0xC93B5F7D1E4A7, 0x6E2D9C7B5A3F1,
                                     0xE4C1A7D3B96F5};
  for (int j = 0; j < 7; ++j) {
    const std::uint64_t exponent = j == 6 ? 1023 + 6 : 1023;  // 1.x, and an age of 64 to 128
    marks.push_back(std::bit_cast<double>(exponent << 52 | mantissas[j]));
  }
  return marks;
}

std::map<std::string, Cohort> MarkedCohorts() {
  std::map<std::string, Cohort> cohorts = MakeCohorts(3);
  Cohort& cohort = cohorts.at(kMarkedSite);
  const std::vector<double> marks = Marks();
  for (Eigen::Index j = 0; j < 6; ++j) {
    cohort.features(kMarkedRow, j) = marks[static_cast<std::size_t>(j)];
  }
  cohort.covariates(kMarkedRow, 0) = marks[6];
  cohort.patient_ids[kMarkedRow] = kMarkedPatient;
  return cohorts;
}

// Searches bytes for eight-byte windows, at every offset, and texts for pieces of text.
class Search {
 public:
  void AddDouble(double value) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    AddWindow(bits);
    AddWindow(__builtin_bswap64(bits));
    // Texts of a double agree in their leading digits, however many are printed.
    const std::string digits = fmt::format("{:.17g}", std::fabs(value));
    if (digits.size() >= 9) texts_.insert(digits.substr(0, 9));
  }
  // The value in units of 2^-fraction_bits, to the nearest, as 64 or 128 bits hold it.
  void AddFixedPoint(double value, int fraction_bits) {
    const Int128 units = federation::ExactSum::Round(value, fraction_bits);
    for (const Int128 one : {units, -units}) {
      const auto low = static_cast<std::uint64_t>(one);
      const auto middle = static_cast<std::uint64_t>(one >> 32);
      AddWindow(low);
      if (middle != (low >> 32)) AddWindow(middle);
    }
  }
  void AddText(std::string text) { texts_.insert(std::move(text)); }

  [[nodiscard]] std::size_t windows() const { return windows_.size(); }
  [[nodiscard]] std::vector<std::string> FindIn(std::span<const std::uint8_t> bytes) const {
    std::vector<std::string> found;
    for (std::size_t at = 0; at + 8 <= bytes.size(); ++at) {
      std::uint64_t window = 0;
      std::memcpy(&window, bytes.data() + at, 8);
      if (windows_.contains(window)) found.push_back(fmt::format("{:016x} at byte {}", window, at));
    }
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    for (const std::string& piece : texts_) {
      if (text.find(piece) != std::string_view::npos) found.push_back("text " + piece);
    }
    return found;
  }
  [[nodiscard]] std::vector<std::string> FindIn(std::string_view text) const {
    return FindIn(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
  }

 private:
  // Windows that chance or plain counts would hit (few busy bytes) say nothing: 25 busy bits behind
  // zeros are met where a record's zero fields end and a hash begins, with thousands of windows in
  // the search. The finer grids of the same value have more.
  void AddWindow(std::uint64_t window) {
    std::set<std::uint8_t> busy;
    for (int i = 0; i < 8; ++i) busy.insert(static_cast<std::uint8_t>(window >> (8 * i)));
    if (busy.size() >= 6) windows_.insert(window);
  }
  std::unordered_set<std::uint64_t> windows_;
  std::set<std::string> texts_;
};

// All grids that steps use, and binary units 2^-k of a column bound by 2^k.
void AddEverywhere(Search& search, double value) {
  search.AddDouble(value);
  for (const int fraction_bits : {26, 30, 32, 34, 38, 40, 44, 48, 52, 64, 80, 96}) {
    for (const int exponent : {0, 1, 2, 3, 4, 5, 6, 7, 8}) {
      search.AddFixedPoint(std::ldexp(value, -exponent), fraction_bits);
    }
  }
}

// What `federation`'s questions could make of the marked row: as it is, about every mean that was
// ever asked, and over every spread.
Search SearchFor(const Federation& federation) {
  Search search;
  search.AddText(kMarkedPatient);
  search.AddText("patient-");  // every other patient of every hospital
  const std::vector<double> marks = Marks();
  for (const double mark : marks) {
    AddEverywhere(search, mark);
    AddEverywhere(search, mark * mark);
  }
  std::set<std::string> seen;
  for (const auto& round : federation.asked()) {
    for (const federation::Query& query : round.queries) {
      const Eigen::MatrixXd* columns = federation::Find(query.inputs, "columns");
      const Eigen::MatrixXd* mean = federation::Find(query.inputs, "mean");
      const Eigen::MatrixXd* sd = federation::Find(query.inputs, "sd");
      if (columns == nullptr || mean == nullptr || sd == nullptr) continue;
      for (Eigen::Index j = 0; j < columns->rows(); ++j) {
        const double mark = marks[static_cast<std::size_t>((*columns)(j, 0))];
        const double centred = mark - (*mean)(j, 0), z = centred / (*sd)(j, 0);
        if (!seen.insert(fmt::format("{} {}", centred, z)).second) continue;
        AddEverywhere(search, centred);
        AddEverywhere(search, centred * centred);
        AddEverywhere(search, z);
        AddEverywhere(search, z * z);
      }
    }
  }
  return search;
}

void ExpectNothing(const Search& search, std::string_view what,
                   std::span<const std::uint8_t> bytes) {
  const auto found = search.FindIn(bytes);
  EXPECT_TRUE(found.empty()) << what << ": " << found.size()
                             << " hits, the first: " << (found.empty() ? "" : found.front());
}
void ExpectNothing(const Search& search, std::string_view what, std::string_view text) {
  ExpectNothing(search, what,
                std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

study::Study TaintStudy(bool masks, bool leave_one_out) {
  StudyOptions options;
  options.policy = masks ? "private" : "public-data";
  options.masks = masks ? "true" : "false";
  options.harmonizations = "{none: {method: none}, combat: {method: combat, preserve: [age]}}";
  if (leave_one_out) {
    options.design = "design: leave-one-center-out\nconsents: [A, B, C, D, E]";
  }
  return MakeStudy(options);
}

struct TaintCase {
  const char* name;
  bool masks;
  bool leave_one_out;
};
class Taint : public testing::TestWithParam<TaintCase> {};

TEST_P(Taint, NoByteThatLeavesAndNoLineThatStaysHoldsAMarkedValueOrAName) {
  Ledgers ledgers = NewLedgers();
  Federation federation(TaintStudy(GetParam().masks, GetParam().leave_one_out), MarkedCohorts(),
                        ledgers);
  std::string errors;
  const auto provoke = [&] {  // errors, too, are made from something
    site_agent::RoundQuestion question = federation.Honest();
    question.queries[0].scope.left_out_fold += 1;
    const auto answer = federation.Ask(kMarkedSite, Rebound(question));
    ASSERT_FALSE(answer.has_value());
    errors += answer.error().message + site_agent::ToOutward(answer.error()).ToText();
  };
  while (!federation.done()) {
    provoke();
    const auto advanced = federation.Advance();
    ASSERT_TRUE(advanced.has_value()) << advanced.error().message;
  }
  const auto report = federation.Finish();
  ASSERT_TRUE(report.has_value()) << report.error().message;

  const Search search = SearchFor(federation);
  ASSERT_GT(search.windows(), 1000U);
  for (const auto& [site, out] : federation.outgoing()) {
    ExpectNothing(search, "words of " + site, out.words);
    ExpectNothing(search, "receipts of " + site, out.receipts);
    const std::span releases(reinterpret_cast<const std::uint8_t*>(out.releases.data()),
                             8 * out.releases.size());
    ExpectNothing(search, "releases of " + site, releases);
  }
  EXPECT_GT(federation.outgoing().at(kMarkedSite).words.size(), 10000U);
  ExpectNothing(search, "errors", errors);
  ExpectNothing(search, "the log", federation.log());
  ExpectNothing(search, "report.json", *report);
  for (const auto& [site, ledger] : ledgers) {
    for (const site_agent::LedgerRecord& record : ledger->records()) {
      ExpectNothing(search, "ledger of " + site, site_agent::EncodeRecord(record));
      ExpectNothing(search, "ledger of " + site, site_agent::ToLine(record));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Studies, Taint,
                         testing::Values(TaintCase{"masked", true, false},
                                         TaintCase{"unmasked", false, false},
                                         TaintCase{"masked_leave_one_center_out", true, true}),
                         [](const auto& param_info) { return std::string(param_info.param.name); });

// The search itself: an answer in which the marked row stands alone is found, in every form.
TEST(TaintSearch, FindsARowThatStandsAlone) {
  Ledgers ledgers = NewLedgers();
  Federation federation(TaintStudy(true, false), MarkedCohorts(), ledgers);
  ASSERT_TRUE(federation.AdvanceTo("lasso.evaluate").has_value());
  const Search search = SearchFor(federation);
  Cohort alone = federation.site(kMarkedSite).cohort();
  const Eigen::MatrixXd features = alone.features.row(kMarkedRow);
  const Eigen::MatrixXd covariates = alone.covariates.row(kMarkedRow);
  const Eigen::VectorXd outcome = alone.outcome.segment(kMarkedRow, 1);
  alone.features = features;
  alone.covariates = covariates;
  alone.outcome = outcome;
  alone.patient = {0};
  alone.fold = {1};
  const federation::Context context{alone};
  int mean_answers = 0, sign_answers = 0;  // in units of the column, and standardised
  for (const auto& round : federation.asked()) {
    for (const federation::Query& query : round.queries) {
      const bool means = query.step == "moments.mean", signs = query.step == "moments.signature";
      if ((!means && !signs) || query.scope.left_out_fold == 1) continue;
      const federation::Step* step = federation.engine().Find(query.step);
      const auto answer = step->answer(context, {}, query);
      if (!answer) continue;  // a harmonized fit has other columns by now
      const auto layout = step->layout(query);
      const auto words = federation::EncodeWords(*answer, *layout, 4);
      ASSERT_TRUE(words.has_value()) << words.error().message;
      EXPECT_FALSE(search.FindIn(*words).empty()) << query.step << " of " << query.scope.fit;
      (means ? mean_answers : sign_answers) += 1;
    }
  }
  EXPECT_GT(mean_answers, 0);
  EXPECT_GT(sign_answers, 0);
  ByteWriter writer;
  writer.U8(1);  // out of step with any eight bytes
  writer.F64(Marks()[3]);
  EXPECT_EQ(search.FindIn(writer.bytes()).size(), 1U);
  EXPECT_FALSE(search.FindIn(fmt::format("age {}", Marks()[6])).empty());
  EXPECT_FALSE(search.FindIn(fmt::format("{:.10f}", Marks()[2])).empty());
  EXPECT_FALSE(search.FindIn(std::string("id ") + kMarkedPatient).empty());
}

// ---- masks
// ----------------------------------------------------------------------------------------

// Pearson's chi-square of the bytes against the uniform distribution: 255 degrees of freedom.
double ChiSquare(std::span<const std::uint8_t> bytes) {
  std::array<double, 256> counts{};
  for (const std::uint8_t byte : bytes) counts[byte] += 1;
  const double expected = static_cast<double>(bytes.size()) / 256;
  double sum = 0;
  for (const double count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}
// Mean 255, sd sqrt(510) = 22.6; six of them above. (The seeds are fixed: it never wavers.)
constexpr double kUniformBelow = 255 + 6 * 22.6;

struct FirstSums {
  std::map<std::string, Bytes> words;  // by site, of all rounds up to the first lasso point
  Bytes log;
};
FirstSums RunToTheLasso(std::map<std::string, Cohort> cohorts, bool masks) {
  Ledgers ledgers = NewLedgers();
  Federation federation(TaintStudy(masks, false), std::move(cohorts), ledgers);
  CONSILIUM_CHECK(federation.AdvanceTo("lasso.evaluate").has_value(), "the study is honest");
  FirstSums sums;
  for (const auto& [site, out] : federation.outgoing()) sums.words[site] = out.words;
  sums.log = federation.log();
  return sums;
}

TEST(Masks, AMarkedPatientsValuesMoveTheTotalWhileTheSitesWordsLookUniform) {
  std::map<std::string, Cohort> flipped = MarkedCohorts();
  flipped.at(kMarkedSite).features.row(kMarkedRow) *= -1;
  flipped.at(kMarkedSite).outcome(kMarkedRow) = 1 - flipped.at(kMarkedSite).outcome(kMarkedRow);
  const FirstSums one = RunToTheLasso(MarkedCohorts(), true);
  const FirstSums other = RunToTheLasso(flipped, true);
  const FirstSums clear = RunToTheLasso(MarkedCohorts(), false);
  EXPECT_NE(one.log, other.log);  // the totals stand in the log
  for (const std::string& site : TrainingSites()) {
    SCOPED_TRACE(site);
    const Bytes& words = one.words.at(site);
    ASSERT_GT(words.size(), 256U * 20);
    EXPECT_LT(ChiSquare(words), kUniformBelow);
    EXPECT_LT(ChiSquare(other.words.at(site)), kUniformBelow);
    EXPECT_GT(ChiSquare(clear.words.at(site)), 100 * kUniformBelow);  // the test can fail
    // Masked and clear words differ by what looks like noise, too.
    ASSERT_EQ(words.size(), clear.words.at(site).size());
    Bytes difference(words.size());
    for (std::size_t i = 0; i < words.size(); ++i)
      difference[i] = words[i] ^ clear.words.at(site)[i];
    EXPECT_LT(ChiSquare(difference), kUniformBelow);
  }
}

}  // namespace
}  // namespace consilium::attacks
