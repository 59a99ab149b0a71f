// Structure sets and label maps that the tests write, drawn on the slices of written_dicom.h.
#pragma once

#include <string>
#include <vector>

#include "tests/conformance/dicom/written_dicom.h"

namespace consilium::engine::dicom {

// An item of a sequence, made if it is not there.
DcmItem& Item(DcmItem& parent, const DcmTagKey& sequence, long number);
void Put(DcmItem& item, const DcmTagKey& tag, const std::string& value);

struct Drawn {
  std::string type = "CLOSED_PLANAR";
  std::vector<Index> points;  // in voxels
};

// A rectangle in slice z, from corner to corner.
[[nodiscard]] Drawn Rectangle(double z, double left, double top, double right, double bottom);

// A structure set on the series and in the frame of reference of WrittenFile's slices.
class WrittenStructureSet {
 public:
  WrittenStructureSet();
  WrittenStructureSet& Add(const std::string& name, const std::vector<Drawn>& contours);
  WrittenFile& file() { return file_; }

 private:
  WrittenFile file_ = WrittenFile::Empty("RTSTRUCT", UID_RTStructureSetStorage);
  long count_ = 0;
};

// A segmentation of labels [voxels of `grid`]: 1 is "Tumour", 301 is "Lung".
[[nodiscard]] WrittenFile LabelMap(const Grid& grid, const std::vector<int>& labels);

}  // namespace consilium::engine::dicom
