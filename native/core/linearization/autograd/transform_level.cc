#include "core/linearization/autograd/transform_level.h"

#include <ATen/functorch/BatchedFallback.h>
#include <ATen/functorch/DynamicLayer.h>
#include <c10/core/GradMode.h>

#include <optional>

namespace tc {

namespace functorch = at::functorch;

namespace {

/// vmap runs operators without a rule for it row by row, and says so on stderr in every call.
void quiet() {
  static const bool done = [] {
    functorch::setVmapFallbackWarningEnabled(false);
    return true;
  }();
  static_cast<void>(done);
}

}  // namespace

TransformLevel::TransformLevel(Kind kind, int64_t batch)
    : level_(kind == Kind::kVmap
                 ? functorch::initAndPushDynamicLayer(functorch::TransformType::Vmap, batch,
                                                      functorch::RandomnessType::Error)
                 : functorch::initAndPushDynamicLayer(
                       functorch::TransformType::Grad, std::nullopt, std::nullopt,
                       /*prev_grad_mode=*/at::GradMode::is_enabled())) {
  quiet();
}

TransformLevel::~TransformLevel() { functorch::popDynamicLayerAndDeleteMetadata(); }

}  // namespace tc
