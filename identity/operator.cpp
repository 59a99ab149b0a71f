#include "identity/operator.h"

#include "identity/names.h"

namespace consilium::identity {
namespace {

constexpr std::string_view kBegin = " (operated by ";

}  // namespace

Result<std::string> WithOperator(std::string_view name, std::string_view lead) {
  CONSILIUM_TRY(CheckName(lead));
  return std::string(name) + std::string(kBegin) + std::string(lead) + ")";
}

std::string OperatorIn(std::string_view coordinator) {
  const std::size_t begin = coordinator.rfind(kBegin);
  if (begin == std::string_view::npos || coordinator.back() != ')') return "";
  coordinator.remove_prefix(begin + kBegin.size());
  coordinator.remove_suffix(1);
  return CheckName(coordinator) ? std::string(coordinator) : "";
}

}  // namespace consilium::identity
