#include "extraction/stability.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>

#include "base/csv.h"
#include "base/glob.h"
#include "base/strict_yaml.h"
#include "extraction/case_list.h"
#include "extraction/table.h"

namespace consilium::extraction {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// ---- figures
constexpr std::array<const char*, 15> kFigures = {
    "icc11",      "icc11_low", "icc11_high", "icc21",      "icc21_low",
    "icc21_high", "icc31",     "icc31_low",  "icc31_high", "ccc",
    "ccc_low",    "ccc_high",  "within_cv",  "within_sd",  "repeatability"};
using Figures = std::array<double, kFigures.size()>;

// What may stand in a study file as it is: no pattern, no quote, no line's end.
bool IsPlain(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return c >= ' ' && c != 0x7f && std::string_view("*?\"\\").find(c) == std::string_view::npos;
  });
}

constexpr double kCountMax = 1e7;  // patients or subjects of a file from elsewhere

// Of two repeats.
PairSums PairsOf(const FeatureSums& of) {
  const RepeatSums& sums = of.sums;
  return {sums.centre,
          sums.subjects,
          sums.by_repeat[0],
          sums.by_repeat[1],
          of.first_squares,
          sums.squares - of.first_squares,
          2 * (sums.squares - sums.subject_squares)};
}

Figures FiguresOf(const FeatureSums& of) {
  Figures figures;
  figures.fill(kNone);
  const auto anova = AnovaOf(of.sums);
  if (!anova) return figures;
  std::size_t at = 0;
  const auto put = [&](const Agreement& agreement) {
    figures[at++] = agreement.value;
    figures[at++] = agreement.interval ? agreement.interval->low : kNone;
    figures[at++] = agreement.interval ? agreement.interval->high : kNone;
  };
  for (const IccForm form : {IccForm::kOneWay, IccForm::kAgreement, IccForm::kConsistency})
    put(IccOf(*anova, form));
  if (of.sums.by_repeat.size() == 2) {
    put(ConcordanceOf(PairsOf(of)).value_or(Agreement{kNone, {}}));
  } else {
    put({OverallConcordanceOf(of.sums).value_or(kNone), {}});
  }
  if (const auto repeatability = RepeatabilityOf(of.sums)) {
    figures[at++] = repeatability->within_subject_cv;
    figures[at++] = repeatability->within_subject_sd;
    figures[at++] = repeatability->coefficient;
  }
  return figures;
}

// ---- a table of repeated measurements
struct Subject {
  std::string patient;
  std::vector<std::optional<std::size_t>> rows;  // [k]
};

class RepeatTable {
 public:
  RepeatTable(const CsvTable& table, std::string_view name, const RepeatDesign& design)
      : table_(table), name_(name), design_(design) {}

  Result<Stability> Measure() {
    for (const std::string& column : {std::string("patient"), design_.column}) {
      if (table_.Column(column)) continue;
      return Wrong(
          fmt::format("there is no column '{}'{}; repeats of a patient are told apart "
                      "by it",
                      column, DidYouMean(column, table_.header())));
    }
    const auto columns = FeatureColumns();
    CONSILIUM_TRY(columns);
    CONSILIUM_TRY(FindSubjects());
    Stability stability;
    stability.repeats = repeats_;
    for (const std::size_t column : *columns) {
      if (!IsPlain(table_.header()[column])) {
        return Wrong(
            fmt::format("column {} has a name with *, ?, a quote or a backslash, which no "
                        "study file can name",
                        column + 1));
      }
      auto feature = SumsOf(column);
      CONSILIUM_TRY(feature);
      stability.features.push_back(std::move(*feature));
    }
    return stability;
  }

 private:
  [[nodiscard]] tl::unexpected<Error> Wrong(const std::string& what) const {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", name_, what));
  }
  [[nodiscard]] std::string Text(std::size_t row, std::string_view column) const {
    const auto at = table_.Column(column);
    return at ? std::string(Trimmed(table_.Cell(row, *at))) : "";
  }

  [[nodiscard]] Result<std::vector<std::size_t>> FeatureColumns() const {
    const auto& header = table_.header();
    std::vector<std::size_t> columns;
    if (design_.features.empty()) {
      const auto last = table_.Column(kBeforeFeatures);
      if (!last) {
        return Wrong(
            fmt::format("there is no column '{}', behind which the features stand; say "
                        "which columns are features by --features",
                        kBeforeFeatures));
      }
      for (std::size_t i = *last + 1; i < header.size(); ++i) columns.push_back(i);
      return columns;
    }
    for (const std::string& pattern : design_.features) {
      if (std::none_of(header.begin(), header.end(),
                       [&](const auto& name) { return GlobMatches(pattern, name); }))
        return Wrong(fmt::format("no column has a name like '{}'", pattern));
    }
    for (std::size_t i = 0; i < header.size(); ++i) {
      if (std::any_of(design_.features.begin(), design_.features.end(),
                      [&](const auto& pattern) { return GlobMatches(pattern, header[i]); }))
        columns.push_back(i);
    }
    return columns;
  }

  // What distinguishes a patient's subjects besides the region.
  [[nodiscard]] std::vector<std::string> ImageOf(std::size_t row) const {
    std::vector<std::string> image = {Text(row, "patient")};
    for (const char* facet : kFacets) {
      if (facet != design_.column) image.push_back(Text(row, facet));
    }
    return image;
  }

  Result<void> FindSubjects() {
    std::set<std::string> names;
    std::map<std::vector<std::string>, int> regions;  // rows by image and repeat
    bool several = false;  // where every image has one region, its name does not matter
    for (std::size_t row = 0; row < table_.row_count(); ++row) {
      const std::string repeat = Text(row, design_.column);
      if (repeat.empty()) continue;
      names.insert(repeat);
      auto image = ImageOf(row);
      image.push_back(repeat);
      several = ++regions[std::move(image)] > 1 || several;
    }
    repeats_.assign(names.begin(), names.end());
    std::sort(repeats_.begin(), repeats_.end(), FacetBefore);
    if (repeats_.size() < 2 || repeats_.size() > static_cast<std::size_t>(kRepeatsMax)) {
      return Wrong(fmt::format("column '{}' tells {} repeats apart, expected 2 to {}",
                               design_.column, repeats_.size(), kRepeatsMax));
    }
    for (const std::string& repeat : repeats_) {
      if (repeat.find(';') != std::string::npos)
        return Wrong(
            fmt::format("column '{}' holds a ';'; name repeats without it", design_.column));
    }
    std::map<std::vector<std::string>, std::size_t> place;
    for (std::size_t row = 0; row < table_.row_count(); ++row) {
      const std::string repeat = Text(row, design_.column);
      if (repeat.empty()) continue;
      auto key = ImageOf(row);
      if (several) key.push_back(Text(row, "region"));
      const auto [at, is_new] = place.try_emplace(std::move(key), subjects_.size());
      if (is_new)
        subjects_.push_back(
            {Text(row, "patient"), std::vector<std::optional<std::size_t>>(repeats_.size())});
      const auto which = std::lower_bound(repeats_.begin(), repeats_.end(), repeat, FacetBefore);
      auto& there = subjects_[at->second].rows[static_cast<std::size_t>(which - repeats_.begin())];
      if (there) {
        return Wrong(
            fmt::format("lines {} and {} are the same repeat of the same region; fill in "
                        "one of the columns {} or region",
                        table_.Line(*there), table_.Line(row), fmt::join(kFacets, ", ")));
      }
      there = row;
    }
    return {};
  }

  [[nodiscard]] Result<FeatureSums> SumsOf(std::size_t column) const {
    FeatureSums feature;
    feature.name = table_.header()[column];
    std::vector<double> values, of_subject;
    std::set<std::string_view> patients;
    double all = 0;
    for (const Subject& subject : subjects_) {
      of_subject.clear();
      for (const auto& row : subject.rows) {
        const auto number = row ? ParseNumber(table_.Cell(*row, column)) : std::nullopt;
        if (number) of_subject.push_back(*number);
      }
      if (of_subject.size() < repeats_.size()) {
        ++feature.left_out;
        continue;
      }
      patients.insert(subject.patient);
      values.insert(values.end(), of_subject.begin(), of_subject.end());
      for (const double value : of_subject) all += value;
    }
    feature.patients = static_cast<std::int64_t>(patients.size());
    const double mean = values.empty() ? 0 : all / static_cast<double>(values.size());
    auto sums = SumRepeats(values, static_cast<int>(repeats_.size()), mean);
    if (!sums) return Wrong(fmt::format("column '{}': {}", feature.name, sums.error().message));
    feature.sums = std::move(*sums);
    for (std::size_t i = 0; i < values.size(); i += repeats_.size())
      feature.first_squares += (values[i] - mean) * (values[i] - mean);
    return feature;
  }

  const CsvTable& table_;
  std::string_view name_;
  const RepeatDesign& design_;
  std::vector<std::string> repeats_;
  std::vector<Subject> subjects_;
};

// ---- stability.csv
constexpr std::array<const char*, 6> kCounts = {"feature", "sites", "patients",
                                                "n",       "k",     "left_out"};
constexpr std::array<const char*, 7> kSums = {"repeats",
                                              "centre",
                                              "sum_by_repeat",
                                              "sum_subject_squares",
                                              "sum_squares",
                                              "sum_first_squares",
                                              "sum_relative_variances"};

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

// One row of a file from elsewhere.
class SumsReader {
 public:
  SumsReader(const CsvTable& table, std::string_view name) : table_(table), name_(name) {}

  Result<Stability> Read() {
    for (const auto& column : kCounts) CONSILIUM_TRY(Need(column));
    for (const auto& column : kSums) CONSILIUM_TRY(Need(column));
    Stability stability;
    std::set<std::string> names;
    for (row_ = 0; row_ < table_.row_count(); ++row_) {
      if (Text("centre").empty()) continue;
      const auto repeats = Split(Text("repeats"), ';');
      if (stability.repeats.empty()) stability.repeats = repeats;
      auto feature = ReadFeature(repeats.size());
      if (!feature || repeats != stability.repeats || repeats.size() < 2 ||
          repeats.size() > static_cast<std::size_t>(kRepeatsMax) ||
          !names.insert(feature->name).second) {
        return Fail(ErrorCode::kInvalidArgument,
                    fmt::format("{}:{}: these are no sums of {} patients or more, of one feature "
                                "in {} repeats; let the hospital write its stability.csv again",
                                name_, table_.Line(row_), kPatientsMin, stability.repeats.size()));
      }
      stability.features.push_back(std::move(*feature));
    }
    if (stability.features.empty()) {
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("{}: no feature has sums; they need {} patients with all repeats or "
                              "more",
                              name_, kPatientsMin));
    }
    return stability;
  }

 private:
  [[nodiscard]] Result<void> Need(const char* column) const {
    if (table_.Column(column)) return {};
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{}:1: there is no column '{}'; expected a stability.csv", name_, column));
  }
  [[nodiscard]] std::string_view Text(const char* column) const {
    return Trimmed(table_.Cell(row_, *table_.Column(column)));
  }
  // A whole number from `low` on.
  [[nodiscard]] std::optional<std::int64_t> Count(const char* column, std::int64_t low) const {
    const auto number = ParseNumber(Text(column));
    if (!number || *number != std::floor(*number) || *number < static_cast<double>(low) ||
        *number > kCountMax)
      return std::nullopt;
    return static_cast<std::int64_t>(*number);
  }

  [[nodiscard]] std::optional<FeatureSums> ReadFeature(std::size_t repeats) const {
    FeatureSums feature;
    feature.name = Text("feature");
    const auto sites = Count("sites", 1), patients = Count("patients", kPatientsMin),
               subjects = Count("n", kPatientsMin), left_out = Count("left_out", 0);
    const auto centre = ParseNumber(Text("centre")),
               subject_squares = ParseNumber(Text("sum_subject_squares")),
               squares = ParseNumber(Text("sum_squares")),
               first_squares = ParseNumber(Text("sum_first_squares")),
               variances = ParseNumber(Text("sum_relative_variances"));
    if (!IsPlain(feature.name) || !sites || !patients || !subjects || !left_out || !centre ||
        !subject_squares || !squares || !first_squares || *patients > *subjects ||
        *sites > *patients || *squares < 0 || *first_squares < 0 || *subject_squares < 0)
      return std::nullopt;
    feature.sites = *sites;
    feature.patients = *patients;
    feature.left_out = *left_out;
    feature.first_squares = *first_squares;
    feature.sums.centre = *centre;
    feature.sums.subjects = *subjects;
    feature.sums.subject_squares = *subject_squares;
    feature.sums.squares = *squares;
    feature.sums.relative_variances = variances.value_or(kNone);
    for (const auto& text : Split(Text("sum_by_repeat"), ' ')) {
      const auto sum = ParseNumber(text);
      if (!sum) return std::nullopt;
      feature.sums.by_repeat.push_back(*sum);
    }
    if (feature.sums.by_repeat.size() != repeats) return std::nullopt;
    return feature;
  }

  const CsvTable& table_;
  std::string_view name_;
  std::size_t row_ = 0;
};

// From another centre.
double FirstSquares(const FeatureSums& of, double centre) {
  const double shift = centre - of.sums.centre;
  return of.first_squares -
         shift * (2 * of.sums.by_repeat[0] - static_cast<double>(of.sums.subjects) * shift);
}

FeatureSums Together(const FeatureSums& a, const FeatureSums& b) {
  FeatureSums sum = a;
  sum.sites += b.sites;
  sum.patients += b.patients;
  sum.left_out += b.left_out;
  const auto n = static_cast<double>(a.sums.subjects), m = static_cast<double>(b.sums.subjects);
  const double centre = a.sums.centre + (b.sums.centre - a.sums.centre) * (m / (n + m));
  // Same repeats and one centre: they add up.
  sum.sums = *consilium::Together(Recentred(a.sums, centre), Recentred(b.sums, centre));
  sum.first_squares = std::max(0.0, FirstSquares(a, centre) + FirstSquares(b, centre));
  return sum;
}

}  // namespace

Result<Stability> MeasureStability(std::string_view table, std::string_view name,
                                   const RepeatDesign& design) {
  const auto parsed = ParseCsv(table, name);
  CONSILIUM_TRY(parsed);
  return RepeatTable(*parsed, name, design).Measure();
}

std::string ToCsv(const Stability& stability) {
  CsvWriter csv;
  for (const char* name : kCounts) csv.Cell(name);
  for (const char* name : kFigures) csv.Cell(name);
  for (const char* name : kSums) csv.Cell(name);
  csv.EndRow();
  for (const FeatureSums& of : stability.features) {
    csv.Cell(of.name).Cell(of.sites).Cell(of.patients).Cell(of.sums.subjects);
    csv.Cell(static_cast<std::int64_t>(stability.repeats.size())).Cell(of.left_out);
    const auto number = [&](double value) { csv.Cell(std::isfinite(value) ? value : kNone); };
    for (const double figure : FiguresOf(of)) number(figure);
    csv.Cell(fmt::format("{}", fmt::join(stability.repeats, ";")));
    if (of.patients < kPatientsMin || !std::isfinite(of.sums.squares + of.sums.subject_squares)) {
      for (std::size_t i = 1; i < kSums.size(); ++i) csv.Cell("");
    } else {
      number(of.sums.centre);
      std::string by_repeat;
      for (const double sum : of.sums.by_repeat)
        by_repeat += (by_repeat.empty() ? "" : " ") + FormatNumber(sum);
      csv.Cell(by_repeat);
      number(of.sums.subject_squares);
      number(of.sums.squares);
      number(of.first_squares);
      number(of.sums.relative_variances);
    }
    csv.EndRow();
  }
  return csv.text();
}

Result<Stability> ReadStability(std::string_view text, std::string_view name) {
  const auto table = ParseCsv(text, name);
  CONSILIUM_TRY(table);
  return SumsReader(*table, name).Read();
}

Result<Stability> Together(const std::vector<Stability>& parts,
                           const std::vector<std::string>& names) {
  Stability whole;
  std::map<std::string, std::size_t> place;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i == 0) whole.repeats = parts[i].repeats;
    if (parts[i].repeats != whole.repeats) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}: its repeats are {}, those of {} are {}; agree on their names "
                              "and number first",
                              names[i], fmt::join(parts[i].repeats, ";"), names[0],
                              fmt::join(whole.repeats, ";")));
    }
    for (const FeatureSums& feature : parts[i].features) {
      const auto [at, is_new] = place.try_emplace(feature.name, whole.features.size());
      if (is_new) {
        whole.features.push_back(feature);
      } else {
        FeatureSums& there = whole.features[at->second];
        there = Together(there, feature);
      }
    }
  }
  return whole;
}

Result<Condition> ConditionFromText(std::string_view text) {
  Condition condition;
  const std::size_t at = text.find_first_of("<>");
  if (at != std::string_view::npos) {
    condition.at_least = text[at] == '>';
    condition.or_equal = at + 1 < text.size() && text[at + 1] == '=';
    const auto figure = std::find(kFigures.begin(), kFigures.end(), Trimmed(text.substr(0, at)));
    const auto bound = ParseNumber(text.substr(at + (condition.or_equal ? 2 : 1)));
    if (figure != kFigures.end() && bound) {
      condition.figure = static_cast<std::size_t>(figure - kFigures.begin());
      condition.bound = *bound;
      return condition;
    }
  }
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("'{}' is no condition; expected one such as icc31>=0.75, with one of {} "
                          "and >=, >, <= or <",
                          text, fmt::join(kFigures, ", ")));
}

std::vector<std::string> StableFeatures(const Stability& stability,
                                        const std::vector<Condition>& conditions) {
  std::vector<std::string> stable;
  for (const FeatureSums& feature : stability.features) {
    const Figures figures = FiguresOf(feature);
    const bool all = std::all_of(conditions.begin(), conditions.end(), [&](const Condition& c) {
      const double value = figures[c.figure];
      return (c.or_equal && value == c.bound) || (c.at_least ? value > c.bound : value < c.bound);
    });
    if (all) stable.push_back(feature.name);
  }
  return stable;
}

std::string ToStudySection(const std::vector<std::string>& features, std::string_view why) {
  std::string section = fmt::format("# {}\nfeatures:\n  stable:\n    include:{}\n", why,
                                    features.empty() ? " []" : "");
  for (const std::string& feature : features) section += fmt::format("      - \"{}\"\n", feature);
  return section;
}

}  // namespace consilium::extraction
