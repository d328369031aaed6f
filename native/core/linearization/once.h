#pragma once

#include <memory>
#include <utility>

#include "core/linearization/linearization.h"

namespace tc {

/// A linearization that keeps nothing for its own kinds of products. Should it be asked for others,
/// it becomes one that does.
class Once : public Linearization {
 public:
  const at::Tensor& output() const override { return kept(StopToken()).output(); }
  at::Tensor jvp(const at::Tensor& v, const StopToken& stop) override {
    return kept(stop).jvp(v, stop);
  }
  at::Tensor vjp(const at::Tensor& u, const StopToken& stop) override {
    return kept(stop).vjp(u, stop);
  }
  // As for others, but that the forward pass hears the token.
  at::Tensor pullback(const CotangentOf& cotangent, const StopToken& stop) override {
    Linearization& here = kept(stop);
    return here.vjp(cotangent(here.output()), stop);
  }
  int64_t bytes() const override { return kept_ ? kept_->bytes() : 0; }

 protected:
  explicit Once(Point point) : point_(std::move(point)) {}

  const Point& point() const { return point_; }
  /// The same point linearized for good.
  virtual std::unique_ptr<Linearization> keep(const StopToken& stop) const = 0;

 private:
  Linearization& kept(const StopToken& stop) const {
    if (!kept_) kept_ = keep(stop);
    return *kept_;
  }

  Point point_;
  mutable std::unique_ptr<Linearization> kept_;
};

}  // namespace tc
