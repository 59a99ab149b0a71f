#include "engine/dicom/frame_header.h"

#include <fmt/format.h>

#include <cmath>

namespace consilium::engine::dicom {

Result<FrameHeaders> FrameHeaders::Of(const DataSet& root, int frames) {
  FrameHeaders headers;
  headers.root_ = &root;
  auto shared = root.Items(kSharedGroups);
  CONSILIUM_TRY(shared);
  auto own = root.Items(kPerFrameGroups);
  CONSILIUM_TRY(own);
  if (!own->empty() && own->size() != static_cast<std::size_t>(frames)) {
    return Fail(ErrorCode::kDataLoss,
                fmt::format("has functional groups for {} of {} frames; copy the file again",
                            own->size(), frames));
  }
  headers.shared_ = std::move(*shared);
  headers.own_ = std::move(*own);
  return headers;
}

std::optional<Plane> PlaneOf(const FrameHeader& header) {
  const auto position = header.Numbers(kPlanePosition, kPosition);
  const auto cosines = header.Numbers(kPlaneOrientation, kOrientation);
  if (position.size() != 3 || cosines.size() != 6) return std::nullopt;
  Plane plane;
  for (std::size_t i = 0; i < 3; ++i) {
    plane.position_mm[i] = position[i];
    plane.axes[0][i] = cosines[i];
    plane.axes[1][i] = cosines[3 + i];
  }
  constexpr double kOff = 1e-3;  // headers have five digits or so
  if (std::abs(Dot(plane.axes[0], plane.axes[1])) > kOff) return std::nullopt;
  for (auto& axis : plane.axes) {
    const double length = std::sqrt(Dot(axis, axis));
    if (!(std::abs(length - 1) < kOff)) return std::nullopt;
    for (double& number : axis) number /= length;
  }
  return plane;
}

}  // namespace consilium::engine::dicom
