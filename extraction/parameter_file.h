// PyRadiomics' parameter files, as their users have them: YAML or JSON.
//
// Every documented setting is honoured, or refused by name with the reason and what to do. What is
// not known is refused with its line and the nearest known name; what cannot change a result here
// is accepted with a note. Source: PyRadiomics 3.1, "Customizing the Extraction" and its parameter
// schema.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/strict_yaml.h"
#include "engine/pyradiomics.h"

namespace consilium::extraction {

struct ParameterFile {
  engine::PyradiomicsSettings settings;
  // Sentences, each beginning with the key: what was accepted and has no effect, or another one
  // than a reader may think.
  std::vector<std::string> notes;
};

// `name` stands before each message. Not named in the file: PyRadiomics' defaults. shape2D is only
// taken where it is named.
// Errors: kInvalidArgument (not YAML, an unknown key, a wrong type or range, a setting that is not
// honoured: all of them, a line each, "NAME:LINE:COL: field 'setting.binWidth': ..."),
// kResourceExhausted (larger than a parameter file can be).
[[nodiscard]] Result<ParameterFile> ReadParameterFile(std::string_view text,
                                                      const std::string& name);

// The same of a mapping within another file; problems stay with its document.
[[nodiscard]] ParameterFile ReadParameters(const YamlValue& root);

}  // namespace consilium::extraction
