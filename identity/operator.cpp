#include "identity/operator.h"

#include <fmt/format.h>

namespace consilium::identity {

std::string WithOperator(std::string_view name, std::string_view lead) {
  return lead.empty() ? std::string(name) : fmt::format("{} (operated by {})", name, lead);
}

}  // namespace consilium::identity
