#include "core/linearization/finite.h"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "core/linearization/chunked.h"
#include "core/runtime/lazy.h"

namespace tc {
namespace {

/// Whether all exponents are below the largest, which infinities and NaN have.
template <typename Bits>
bool areFinite(const void* numbers, int64_t count, Bits exponent) {
  const auto* const bytes = static_cast<const char*>(numbers);
  Bits found = 0;
  for (int64_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, bytes + i * static_cast<int64_t>(sizeof(Bits)), sizeof(Bits));
    found |= static_cast<Bits>((bits & exponent) == exponent);
  }
  return found == 0;
}

bool isFinite(const at::Tensor& tensor) {
  const at::Tensor numbers = readable(tensor);
  const void* const data = numbers.const_data_ptr();
  if (numbers.scalar_type() == at::kFloat)
    return areFinite<uint32_t>(data, numbers.numel(), 0x7f800000U);
  return areFinite<uint64_t>(data, numbers.numel(), 0x7ff0000000000000U);
}

class WhereFinite final : public Linearization {
 public:
  WhereFinite(const Point& point, std::unique_ptr<Linearization> fused)
      : point_(point), fused_(std::move(fused)) {}

  const at::Tensor& output() const override {
    if (hasFiniteData() && isFinite(fused_->output())) return fused_->output();
    return others(StopToken()).output();
  }
  at::Tensor jvp(const at::Tensor& v, const StopToken& stop) override {
    return either(stop, [&](auto& of) { return of.jvp(v, stop); });
  }
  at::Tensor vjp(const at::Tensor& u, const StopToken& stop) override {
    return either(stop, [&](auto& of) { return of.vjp(u, stop); });
  }
  at::Tensor pullback(const CotangentOf& cotangent, const StopToken& stop) override {
    if (hasFiniteData()) {
      at::Tensor gradient = fused_->pullback(cotangent, stop);
      if (isFinite(gradient)) return gradient;
    }
    ChunkedLinearization& of = others(stop);
    return of.vjp(cotangent(of.output()), stop);
  }
  at::Tensor matvec(const at::Tensor& v, const StopToken& stop) override {
    return either(stop, [&](auto& of) { return of.matvec(v, stop); });
  }
  at::Tensor matmat(const at::Tensor& vectors, const StopToken& stop) override {
    return either(stop, [&](auto& of) { return of.matmat(vectors, stop); });
  }
  at::Tensor jvps(const at::Tensor& vectors, const StopToken& stop) override {
    if (hasFiniteData()) {
      at::Tensor results = fused_->jvps(vectors, stop);
      if (isFinite(results)) return results;
    }
    return Linearization::jvps(vectors, stop);  // of each by itself
  }
  at::Tensor vjps(const at::Tensor& cotangents, const StopToken& stop) override {
    if (hasFiniteData()) {
      at::Tensor results = fused_->vjps(cotangents, stop);
      if (isFinite(results)) return results;
    }
    return Linearization::vjps(cotangents, stop);
  }
  void jacobian(int64_t begin, int64_t end, const at::Tensor& out, const StopToken& stop) override {
    if (hasFiniteData()) return fused_->jacobian(begin, end, out, stop);
    others(stop).jacobian(begin, end, out, stop);
  }
  std::optional<at::Tensor> diagonal(const RowFactorsOf& factors, const StopToken& stop) override {
    if (hasFiniteData()) {
      auto result = fused_->diagonal(factors, stop);
      if (!result || isFinite(*result)) return result;
    }
    return others(stop).diagonal(factors, stop);
  }
  const char* engine() const override { return fused_->engine(); }
  int64_t bytes() const override { return fused_->bytes() + (others_ ? others_->bytes() : 0); }

 private:
  /// Whether the point is finite, which is looked at once.
  bool hasFiniteData() const {
    if (!finite_) finite_ = isFinite(point_.inputs.front()) && isFinite(point_.params);
    return *finite_;
  }

  /// The point by libtorch's operators, cut as these need it.
  ChunkedLinearization& others(const StopToken& stop) const {
    if (!others_) {
      ChunkOptions options;
      options.engine = Engine::kAutograd;
      others_ = std::make_unique<ChunkedLinearization>(point_, options, stop);
    }
    return *others_;
  }

  template <typename Product>
  at::Tensor either(const StopToken& stop, Product&& product) const {
    if (hasFiniteData()) {
      at::Tensor result = product(*fused_);
      if (isFinite(result)) return result;
    }
    return product(others(stop));
  }

  Point point_;
  std::unique_ptr<Linearization> fused_;
  mutable std::optional<bool> finite_;
  mutable std::unique_ptr<ChunkedLinearization> others_;
};

}  // namespace

std::unique_ptr<Linearization> whereFinite(const Point& point,
                                           std::unique_ptr<Linearization> fused) {
  return std::make_unique<WhereFinite>(point, std::move(fused));
}

}  // namespace tc
