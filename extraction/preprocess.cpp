#include "extraction/preprocess.h"

#include <algorithm>
#include <string>

#include "engine/resegment.h"

namespace consilium::extraction {
namespace {

using engine::Image;
using engine::Mask;

struct Applied {
  std::string step;
  Result<Image> image;
};

std::vector<double> Foreground(const Image& image, const Mask& region, bool within_region) {
  return within_region ? engine::IntensitiesOf(image, region) : engine::AboveMean(image);
}

class Apply {
 public:
  Apply(const Image& image, const Mask& region) : image_(image), region_(region) {}

  Applied operator()(const BiasField& step) const {
    auto corrected = engine::itk_files::CorrectBiasField(image_, step.options);
    if (!corrected) return {"n4", tl::unexpected(corrected.error())};
    return {"n4", std::move(corrected->image)};
  }
  Applied operator()(const StandardScoreStep& step) const {
    return {"standard_score", step.within_region
                                  ? engine::ToStandardScore(image_, region_, step.how)
                                  : engine::ToStandardScore(image_, step.how)};
  }
  Applied operator()(const LandmarksStep& step) const {
    return {"landmarks", engine::ToTemplate(image_, Foreground(image_, region_, step.within_region),
                                            step.standard)};
  }
  Applied operator()(const StripeStep& step) const {
    const auto stripe = engine::StripeOf(engine::AboveMean(image_), step.rule);
    if (!stripe) return {"stripe", tl::unexpected(stripe.error())};
    return {"stripe", engine::ToReference(image_, stripe->tissue, step.scale)};
  }

 private:
  const Image& image_;
  const Mask& region_;
};

}  // namespace

Result<Image> Preprocess(Image image, const Mask& region, const std::vector<Step>& steps) {
  for (const Step& step : steps) {
    auto [name, next] = std::visit(Apply(image, region), step);
    if (!next) return tl::unexpected(Within("preprocessing step " + name, std::move(next.error())));
    image = std::move(*next);
    image.numbers = {};  // no file's any more
  }
  return image;
}

bool DependsOnRegion(const std::vector<Step>& steps) {
  return std::any_of(steps.begin(), steps.end(), [](const Step& step) {
    if (const auto* score = std::get_if<StandardScoreStep>(&step)) return score->within_region;
    if (const auto* landmarks = std::get_if<LandmarksStep>(&step)) return landmarks->within_region;
    return false;
  });
}

}  // namespace consilium::extraction
