// What a file says of one of its frames, wherever it says it: at its root (one frame a file), in
// the functional groups that its frames share, or in those of the frame (DICOM PS3.3 C.7.6.16).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/dicom/data_set.h"
#include "engine/place.h"

namespace consilium::engine::dicom {

class FrameHeader {
 public:
  FrameHeader(const DataSet* root, const DataSet* shared, const DataSet* own)
      : root_(root), shared_(shared), own_(own) {}

  // The item of functional group `group` that holds `attribute`: of the frame, else shared, else
  // the root itself.
  [[nodiscard]] DataSet Holder(const Attribute& group, const Attribute& attribute) const {
    for (const DataSet* groups : {own_, shared_}) {
      if (groups == nullptr) continue;
      DataSet item = groups->FirstItem(group);
      if (item.Has(attribute)) return item;
    }
    return *root_;
  }
  [[nodiscard]] std::vector<double> Numbers(const Attribute& group,
                                            const Attribute& attribute) const {
    return Holder(group, attribute).Numbers(attribute);
  }
  [[nodiscard]] std::optional<double> Number(const Attribute& group,
                                             const Attribute& attribute) const {
    return Holder(group, attribute).Number(attribute);
  }
  [[nodiscard]] std::string Text(const Attribute& group, const Attribute& attribute) const {
    return std::string(Holder(group, attribute).Text(attribute));
  }
  [[nodiscard]] const DataSet& root() const { return *root_; }

 private:
  const DataSet *root_, *shared_, *own_;
};

// The headers of every frame of a file.
class FrameHeaders {
 public:
  // `root` outlives this. Errors: those of DataSet::Items; kDataLoss (not one group a frame).
  [[nodiscard]] static Result<FrameHeaders> Of(const DataSet& root, int frames);
  [[nodiscard]] FrameHeader At(int frame) const {
    const bool has_own = !own_.empty();
    return {root_, shared_.empty() ? nullptr : &shared_.front(),
            has_own ? &own_[static_cast<std::size_t>(frame)] : nullptr};
  }
  [[nodiscard]] bool has_groups() const { return !own_.empty(); }

 private:
  const DataSet* root_ = nullptr;
  std::vector<DataSet> shared_, own_;
};

// Where a frame's plane is.
struct Plane {
  Position position_mm{};
  std::array<std::array<double, 3>, 2> axes{};
};
// Nothing if the header has no position or no orientation with two unit vectors at right angles.
[[nodiscard]] std::optional<Plane> PlaneOf(const FrameHeader& header);

}  // namespace consilium::engine::dicom
