// The site half: registered steps. A site runs no code that it did not install; a query can only
// name a step.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "federation/block.h"
#include "federation/cohort.h"

namespace consilium::federation {

// A site's rows under one query's scope.
struct TrainingRows {
  std::vector<Eigen::Index> rows;      // ascending; empty when the site is not a member
  std::vector<Eigen::Index> left_out;  // members' rows of the left-out fold, ascending
};

// What a step may look at. Everything is read-only and local.
struct Context {
  const Cohort& cohort;

  [[nodiscard]] bool IsMember(const Scope& scope) const;
  [[nodiscard]] TrainingRows Rows(const Scope& scope) const;
};

// A cached pure function of the cohort and earlier queries; rebuilt by replay.
struct DerivedValue {
  virtual ~DerivedValue() = default;
};

// Feature columns that replace the cohort's own for one fit (harmonized ones, say). Kept under the
// name kFeatures, so that what comes later need not know who made them.
struct FeatureMatrix : DerivedValue {
  Eigen::MatrixXd values;  // [n x p] every row of the site, in the order of the fit's columns
};
inline constexpr char kFeatures[] = "features";

class Derived {
 public:
  // The value kept under (fit, name); null if there is none or it is of another type.
  template <typename T>
  [[nodiscard]] const T* Find(const std::string& fit, const std::string& name) const {
    const auto found = values_.find({fit, name});
    return found == values_.end() ? nullptr : dynamic_cast<const T*>(found->second.get());
  }
  void Put(const std::string& fit, const std::string& name,
           std::shared_ptr<const DerivedValue> value) {
    values_[{fit, name}] = std::move(value);
  }
  void Forget(const std::string& fit);

 private:
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const DerivedValue>> values_;
};

enum class StepKind { kSum, kRelease };

// What the gate must know about a query before it is answered. From the query alone.
struct Disclosure {
  std::int64_t curvature_columns = 0;  // columns of X'WX or X'X asked at once; 0 = none
  bool curvature_at_null_point =
      false;                    // all slopes zero: the same point for every leave-one-out pattern
  Digest curvature_point;       // digest of the coefficients at which curvature is asked
  double rows_of_sum = 0;       // rows in the summed training set, from an earlier total
  bool scores_a_model = false;  // a scoring query: one per study, model and held-out center
  std::int64_t histogram_parent_count_min =
      -1;  // smallest total of a bin that is split further; -1 = no bins
};

struct Step {
  std::string name;
  StepKind kind = StepKind::kSum;
  // The blocks of an answer, from public numbers only. Errors: kInvalidArgument (the query is
  // malformed).
  std::function<Result<std::vector<BlockLayout>>(const Query&)> layout;  // kSum only
  std::function<Result<Disclosure>(const Query&)> disclosure;  // optional: nothing special
  // Optional: computed before `answer` and kept in Derived under (fit, derived_name).
  std::string derived_name;
  std::function<Result<std::shared_ptr<const DerivedValue>>(const Context&, const Derived&,
                                                            const Query&)>
      derive;
  std::function<Result<Answer>(const Context&, const Derived&, const Query&)> answer;  // kSum only
  std::function<Result<Release>(const Context&, const Derived&, const Query&)>
      release;  // kRelease only
  bool forgets_fit =
      false;  // after this step nothing more is asked of the fit: its derived values go
};

// The steps installed at a site, by name.
class StepRegistry {
 public:
  // Aborts if a step of that name is registered already.
  void Add(Step step);
  // A sum and nothing besides: a step with no disclosure to tell the gate of, no derived value and
  // no release. Aborts as Add does.
  void AddSum(std::string name, decltype(Step::layout) layout, decltype(Step::answer) answer);
  // Null if no step of that name is registered.
  [[nodiscard]] const Step* Find(const std::string& name) const;

 private:
  std::map<std::string, Step> steps_;
};

}  // namespace consilium::federation
