// A lead who also operates the coordinator, named as such wherever the coordinator's name is shown.
//
// One party then plans a study and adds its sums, which sites should know when they approve. The
// declaration is a field of its own wherever it is stored or sent (coordinator.json, the reply to
// an enrolment, enrolment.json); a name that contains such words declares nothing. It is the
// operator's own word; nobody can prove it.
#pragma once

#include <string>
#include <string_view>

namespace consilium::identity {

// "NAME (operated by LEAD)", or the name alone if nobody is declared. For people's eyes: nothing
// reads it back.
[[nodiscard]] std::string WithOperator(std::string_view name, std::string_view lead);

}  // namespace consilium::identity
