#include "core/linearization/autograd/transform_level.h"

#include <ATen/functorch/DynamicLayer.h>
#include <c10/core/GradMode.h>

#include <optional>

namespace tc {

namespace functorch = at::functorch;

TransformLevel::TransformLevel(Kind kind, int64_t batch)
    : level_(kind == Kind::kVmap
                 ? functorch::initAndPushDynamicLayer(functorch::TransformType::Vmap, batch,
                                                      functorch::RandomnessType::Error)
                 : functorch::initAndPushDynamicLayer(
                       functorch::TransformType::Grad, std::nullopt, std::nullopt,
                       /*prev_grad_mode=*/at::GradMode::is_enabled())) {}

TransformLevel::~TransformLevel() { functorch::popDynamicLayerAndDeleteMetadata(); }

}  // namespace tc
