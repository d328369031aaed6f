#include <ATen/ops/empty_like.h>

#include <utility>
#include <vector>

#include "core/linearization/autograd/autograd.h"
#include "core/linearization/autograd/diagonal.h"
#include "core/linearization/autograd/per_sample_jacobian.h"

namespace tc {
namespace {

class AutogradOnCores final : public Linearization {
 public:
  AutogradOnCores(RowsOnCores cores, const StopToken& stop)
      : cores_(std::move(cores)), parts_(cores_.size()) {
    output_ = cores_.joined(stop, [&](size_t i) {
      parts_[i] = linearizeAutograd(cores_.part(i), stop);
      return parts_[i]->output();
    });
  }

  const at::Tensor& output() const override { return output_; }

  at::Tensor jvp(const at::Tensor& v, const StopToken& stop) override {
    at::Tensor result = at::empty_like(output_);
    cores_.each(stop, [&](size_t i) { cores_.rowsOf(result, i).copy_(parts_[i]->jvp(v, stop)); });
    return result;
  }

  at::Tensor vjp(const at::Tensor& u, const StopToken& stop) override {
    return cores_.sum(stop, [&](size_t i) { return parts_[i]->vjp(cores_.rowsOf(u, i), stop); });
  }

  at::Tensor matvec(const at::Tensor& v, const StopToken& stop) override {
    return cores_.sum(stop, [&](size_t i) { return parts_[i]->matvec(v, stop); });
  }

  std::optional<at::Tensor> diagonal(const RowFactorsOf& factors, const StopToken& stop) override {
    return diagonalByGradients(cores_.point(), output_, factors, stop);
  }

  void jacobian(int64_t begin, int64_t end, const at::Tensor& out, const StopToken& stop) override {
    perSampleJacobian(cores_.point(), begin, end, out, stop);
  }

  int64_t bytes() const override {
    int64_t sum = static_cast<int64_t>(output_.nbytes());
    for (const auto& part : parts_) sum += part->bytes();
    return sum;
  }

 private:
  RowsOnCores cores_;
  std::vector<std::unique_ptr<Linearization>> parts_;
  at::Tensor output_;
};

}  // namespace

std::unique_ptr<Linearization> linearizeAutogradOnCores(RowsOnCores rows, const StopToken& stop) {
  return std::make_unique<AutogradOnCores>(std::move(rows), stop);
}

}  // namespace tc
