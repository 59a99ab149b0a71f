#include "federation/step.h"

#include <fmt/format.h>

#include <algorithm>

namespace consilium::federation {

bool Context::IsMember(const Scope& scope) const {
  return std::find(scope.members.begin(), scope.members.end(), cohort.site) != scope.members.end();
}

TrainingRows Context::Rows(const Scope& scope) const {
  TrainingRows result;
  if (!IsMember(scope)) return result;
  for (Eigen::Index i = 0; i < cohort.row_count(); ++i) {
    const bool left_out =
        scope.left_out_fold != 0 && cohort.fold[static_cast<std::size_t>(i)] == scope.left_out_fold;
    (left_out ? result.left_out : result.rows).push_back(i);
  }
  return result;
}

void Derived::Forget(const std::string& fit) {
  std::erase_if(values_, [&fit](const auto& entry) { return entry.first.first == fit; });
}

void StepRegistry::Add(Step step) {
  const std::string name = step.name;
  const bool is_new = steps_.emplace(name, std::move(step)).second;
  CONSILIUM_CHECK(is_new, fmt::format("step {} is registered twice", name));
}

void StepRegistry::AddSum(std::string name, decltype(Step::layout) layout,
                          decltype(Step::answer) answer) {
  Step step;
  step.name = std::move(name);
  step.layout = std::move(layout);
  step.answer = std::move(answer);
  Add(std::move(step));
}

const Step* StepRegistry::Find(const std::string& name) const {
  const auto found = steps_.find(name);
  return found == steps_.end() ? nullptr : &found->second;
}

}  // namespace consilium::federation
