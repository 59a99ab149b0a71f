// Why questions are verified: totals over four hospitals give back one patient's row.
//
// Each question below is a legitimate gradient of the logistic loss, and each total a sum over all
// hospitals. With slopes so steep that every probability is 0 or 1, moving the intercept past one
// row changes that row's residual by 1 and nobody else's: the difference of two gradients is the
// row. Source of the attack: notes on disclosure in DESIGN.md, "Queries are verified".
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "federation/fixed_point.h"
#include "tests/fault/attacks/attack_federation.h"

namespace consilium::attacks {
namespace {

using federation::Block;
using federation::Context;
using federation::Derived;
using federation::Query;

constexpr int kPoints = 1024;
constexpr double kSteep = 5e4;  // steep enough for 0 or 1, and the loss still fits its words

// One crafted lasso.evaluate with kPoints points: slopes kSteep * direction, and intercepts that
// put the step at each of kPoints places from -6 to 6 along the direction.
Query SteepQuestion(const Query& honest, const std::vector<double>& direction) {
  const auto p = static_cast<Eigen::Index>(direction.size());
  Eigen::MatrixXd offset(kPoints + 1, 1), column(kPoints * p, 1), beta(kPoints * p, 1),
      intercept(kPoints, 1);
  for (Eigen::Index l = 0; l <= kPoints; ++l) offset(l, 0) = static_cast<double>(l * p);
  for (Eigen::Index l = 0; l < kPoints; ++l) {
    for (Eigen::Index j = 0; j < p; ++j) {
      column(l * p + j, 0) = static_cast<double>(j);
      beta(l * p + j, 0) = kSteep * direction[static_cast<std::size_t>(j)];
    }
    intercept(l, 0) = kSteep * (6 - 12 * static_cast<double>(l) / (kPoints - 1));
  }
  Query query = honest;
  for (Block& block : query.inputs) {
    if (block.name == "offset") block.values = offset;
    if (block.name == "column") block.values = column;
    if (block.name == "beta") block.values = beta;
    if (block.name == "intercept") block.values = intercept;
    if (block.name == "curvature_at") block.values(0, 0) = -1;
    if (block.name == "curvature_columns") block.values.resize(0, 1);
  }
  return query;
}

class Differencing : public testing::Test {
 protected:
  Differencing() {
    const auto reached = federation_.AdvanceTo("lasso.evaluate");
    CONSILIUM_CHECK(reached.has_value(), reached ? "" : reached.error().message);
    for (const auto& round : federation_.asked()) {
      for (const Query& query : round.queries) {
        if (query.step == "lasso.design" && query.scope.left_out_fold == 0) design_ = query;
      }
    }
    for (const Query& query : federation_.Honest().queries) {
      if (query.scope.left_out_fold == 0) evaluate_ = query;
    }
    CONSILIUM_CHECK(design_.scope.fit == evaluate_.scope.fit, "one fit asks both");
  }
  // The total of `query` over the training centers, by the step's own functions and in fixed-point
  // words: what a coordinator would see if nobody verified.
  std::vector<Block> TotalOf(const Query& query) {
    const federation::Step* evaluate = federation_.engine().Find(query.step);
    const federation::Step* design = federation_.engine().Find("lasso.design");
    const auto layout = evaluate->layout(query);
    CONSILIUM_CHECK(layout.has_value(), layout ? "" : layout.error().message);
    Bytes total = federation::ZeroWords(*layout);
    for (const std::string& site : TrainingSites()) {
      const Context context{federation_.site(site).cohort()};
      Derived derived;
      auto made = design->derive(context, derived, design_);
      CONSILIUM_CHECK(made.has_value(), made ? "" : made.error().message);
      derived.Put(design_.scope.fit, design->derived_name, *made);
      const auto answer = evaluate->answer(context, derived, query);
      CONSILIUM_CHECK(answer.has_value(), answer ? "" : answer.error().message);
      const auto words = federation::EncodeWords(*answer, *layout, 4);
      CONSILIUM_CHECK(words.has_value(), words ? "" : words.error().message);
      federation::AddWords(*layout, *words, total);
    }
    auto sums = federation::DecodeWords(total, *layout);
    CONSILIUM_CHECK(sums.has_value(), "the total has its layout");
    return std::move(*sums);
  }

  study::Study study_ = MakeStudy();
  Ledgers ledgers_ = NewLedgers();
  Federation federation_{study_, MakeCohorts(3), ledgers_};
  Query design_, evaluate_;
  const std::vector<double> direction_ = {0.61, -0.37, 0.23, 0.41, -0.29, 0.17, 0.39};
};

TEST_F(Differencing, OneCraftedQuestionGivesBackAPatientsRowWhereNobodyVerifies) {
  const std::vector<Block> total = TotalOf(SteepQuestion(evaluate_, direction_));
  const Eigen::MatrixXd& score = *federation::Find(total, "score");
  const Eigen::MatrixXd& gradient = *federation::Find(total, "gradient");
  // score = events - rows above the step: the place where exactly one row is left is in the total.
  const double events = score(0, kPoints - 1);
  Eigen::Index one_above = -1;
  for (Eigen::Index l = 0; l < kPoints; ++l) {
    if (std::fabs(events - score(0, l) - 1) < 1e-9) one_above = l;
  }
  ASSERT_GE(one_above, 0) << "no step of the grid separates the outermost row";
  const Eigen::VectorXd row = gradient.col(kPoints - 1) - gradient.col(one_above);
  // On the original scale, with the public means and spreads of the design.
  const Eigen::MatrixXd& mean = *federation::Find(design_.inputs, "mean");
  const Eigen::MatrixXd& sd = *federation::Find(design_.inputs, "sd");
  const Eigen::MatrixXd& columns = *federation::Find(design_.inputs, "columns");
  double closest = INFINITY;
  std::string whose;
  for (const std::string& site : TrainingSites()) {
    const federation::Cohort& cohort = federation_.site(site).cohort();
    for (Eigen::Index i = 0; i < cohort.row_count(); ++i) {
      double worst = 0;
      for (Eigen::Index j = 0; j < row.size(); ++j) {
        const double stolen = row(j) * sd(j, 0) + mean(j, 0);
        const double truth = cohort.features(i, static_cast<Eigen::Index>(columns(j, 0)));
        worst = std::max(worst, std::fabs(stolen - truth));
      }
      if (worst < closest) {
        closest = worst;
        whose = fmt::format("row {} of hospital {}", i, site);
      }
    }
  }
  EXPECT_LT(closest, 1e-6) << "nearest: " << whose;  // 2^-38 words, times sd and four sites
  RecordProperty("error", fmt::format("{:.3g}", closest));
}

TEST_F(Differencing, EverySiteRefusesThatVeryQuestionAndGoesOnWithTheStudy) {
  site_agent::RoundQuestion question = federation_.Honest();
  for (Query& query : question.queries) {
    if (query.scope.left_out_fold == 0) query = SteepQuestion(evaluate_, direction_);
  }
  question = Rebound(std::move(question));
  for (const std::string& site : TrainingSites()) {
    const auto answer = federation_.Ask(site, question);
    ASSERT_FALSE(answer.has_value()) << site;
    EXPECT_EQ(answer.error().code, ErrorCode::kPermissionDenied);
    EXPECT_NE(answer.error().message.find("GATE_NOT_DERIVED"), std::string::npos);
    EXPECT_NE(answer.error().message.find("lasso.evaluate: block 'offset'"), std::string::npos)
        << answer.error().message;
    EXPECT_EQ(federation_.ledger(site).last().event, site_agent::LedgerEvent::kQueryRefused);
  }
  EXPECT_TRUE(federation_.Finish().has_value());
}

}  // namespace
}  // namespace consilium::attacks
