// A lead who also operates the coordinator, named as such wherever the coordinator's name is shown.
//
// One party then plans a study and adds its sums, which sites should know when they approve. The
// declaration is part of the name that the coordinator is given when it is made, "NAME (operated by
// LEAD)": it stands in the authority that every member pins, in every enrolment, and cannot be
// taken back without a new coordinator. It is the operator's own word; nobody can prove it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace consilium::identity {

// "NAME (operated by LEAD)". Errors: those of CheckName for `lead`.
[[nodiscard]] Result<std::string> WithOperator(std::string_view name, std::string_view lead);

// The lead in such a text; empty: it declares none.
[[nodiscard]] std::string OperatorIn(std::string_view coordinator);

}  // namespace consilium::identity
