// `consilium-extract stability`: tables of repeated measurements into stability.csv and a list of
// stable features, and the sums of several hospitals into one of both.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace CLI {
class App;
}

namespace consilium::extraction {

class StabilityCommand {
 public:
  // The subcommand; its options are this object's, which must outlive `app`'s parsing.
  CLI::App* AddTo(CLI::App& app);
  // Writes what the options ask for and tells it on standard output. Errors: those of stability.h,
  // rater_agreement.h and files; kInvalidArgument (options that do not go together).
  [[nodiscard]] Result<void> Do(bool json) const;

 private:
  std::string input_, design_, repeat_, out_;
  std::vector<std::string> combine_, features_, keep_;
  int jobs_ = 1;
};

}  // namespace consilium::extraction
