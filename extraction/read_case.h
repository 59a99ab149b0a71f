// A case's files as an image and masks on its grid.
//
// Images: NIfTI, NRRD, MetaImage, or a folder that holds a DICOM series. Masks: label maps in the
// same formats (also .seg.nrrd), RT structure sets and DICOM segmentations. What they are is told
// by their bytes, not by their names. Masks are brought onto the image's voxels
// (engine/reconcile.h).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/place.h"
#include "extraction/case_list.h"
#include "extraction/outcome.h"

namespace consilium::extraction {

struct Region {
  std::string name;  // "1", "GTV-1"
  engine::Mask mask;
  std::vector<std::string> notes;  // what was done to bring it here, in sentences
};

struct LoadedCase {
  engine::PlacedImage image;
  std::vector<std::pair<std::string, std::string>> provenance;  // of the image, by column
  std::vector<std::string> notes;                               // of the image
  std::vector<Region> regions;
  std::vector<Failure> failures;  // of regions that could not be read
};

// `label`: of a label map where the case names none. Errors: those of the files; kNotFound (the
// case names a label or a region that is not there: lists those that are); kInvalidArgument (a
// folder with several series and none is named, a mask that needs names or numbers and has none).
[[nodiscard]] Result<LoadedCase> ReadCase(const Case& one, int label);

}  // namespace consilium::extraction
