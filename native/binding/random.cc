#include "core/runtime/random.h"

#include "binding/convert.h"
#include "binding/js.h"
#include "core/runtime/error.h"

namespace tc::js {
namespace {

struct GeneratorHandle {
  static constexpr napi_type_tag kTypeTag = {0x51c7d0a3e8f64b29, 0x8e60a4b7c3d19f03};
  Random random;
};

using Draw = at::Tensor (Random::*)(at::IntArrayRef, double, double, at::ScalarType);

auto drawing(Draw draw) {
  return [draw](const Napi::CallbackInfo& info) {
    auto& random = unwrap<GeneratorHandle>(info[0], "generator")->random;
    const auto shape = toShape(info[1], "shape");
    const double first = info[2].ToNumber().DoubleValue();
    const double second = info[3].ToNumber().DoubleValue();
    const auto dtype = info[4].ToBoolean() ? at::kDouble : at::kFloat;
    return toTypedArray(info.Env(), (random.*draw)(shape, first, second, dtype));
  };
}

}  // namespace

void addRandom(Napi::Env env, Napi::Object exports) {
  add(env, exports, "createGenerator", [](const Napi::CallbackInfo& info) {
    bool lossless = false;
    if (!info[0].IsBigInt()) throw Error("ERR_INVALID_ARGUMENT", "seed should be a bigint");
    const uint64_t seed = info[0].As<Napi::BigInt>().Uint64Value(&lossless);
    return wrap(info.Env(), std::make_shared<GeneratorHandle>(GeneratorHandle{Random(seed)}));
  });
  add(env, exports, "uniform", drawing(&Random::uniform));
  add(env, exports, "normal", drawing(&Random::normal));
}

}  // namespace tc::js
