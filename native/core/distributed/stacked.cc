#include "core/distributed/stacked.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <c10/util/accumulate.h>

#include <utility>

#include "core/distributed/over_ranks.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

class Stacked : public OverRanks {
 public:
  Stacked(const OperatorPtr& own, Stack stack, const ProcessGroupPtr& group)
      : OverRanks(c10::multiply_integers(stack.outputShape), own, group),
        stack_(std::move(stack)),
        width_(c10::multiply_integers(c10::IntArrayRef(stack_.outputShape).slice(1))) {
    const double total = stack_.roots.defined() ? stack_.roots.square().sum().item<double>() : 0;
    // Where nothing has weight there is no mean to subtract.
    share_ = total > 0 ? 1 / total : 0;
  }

  bool symmetric() const override { return false; }
  std::vector<int64_t> outputShape() const override { return stack_.outputShape; }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return applyMany(v.unsqueeze(0), stop).squeeze(0);
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    const auto sums = mean(vectors, "matmat", stop, [&] {
      at::Tensor all = at::zeros({vectors.size(0), rows()}, options());
      ownRows(all, 1).copy_(own().matmat(vectors, stop));
      return all;
    });
    return centered(sums);
  }
  at::Tensor applyTransposed(const at::Tensor& u, const StopToken& stop) const override {
    return applyTransposedMany(u.unsqueeze(0), stop).squeeze(0);
  }
  at::Tensor applyTransposedMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return mean(vectors, "rmatmat", stop,
                [&] { return own().rmatmat(ownRows(centered(vectors), 1).contiguous(), stop); });
  }
  at::Tensor makeDense(const StopToken& stop) const override {
    const auto sums = mean({}, "toDense", stop, [&] {
      at::Tensor all = at::zeros({rows(), cols()}, options());
      ownRows(all, 0).copy_(own().toDense(stop));
      return all;
    });
    return centered(sums.t()).t().contiguous();
  }

 private:
  at::Tensor ownRows(const at::Tensor& all, int64_t axis) const {
    return all.narrow(axis, stack_.before * width_, own().rows());
  }

  /// (I − s sᵀ) u with s = √w/‖√w‖, for u of [k, rows]: as √W (I − 1wᵀ/Σw) = (I − s sᵀ) √W, it
  /// comes after the weights, which the ranks' own operators have.
  at::Tensor centered(const at::Tensor& u) const {
    if (!stack_.roots.defined()) return u;
    const at::Tensor roots = stack_.roots.unsqueeze(1);
    const at::Tensor ofRows = u.reshape({u.size(0), stack_.outputShape.front(), width_});
    const at::Tensor means = (ofRows * roots).sum(1, /*keepdim=*/true) * share_;
    return (ofRows - roots * means).view(u.sizes());
  }

  Stack stack_;
  int64_t width_;  ///< outputs of each of the N
  double share_ = 0;
};

}  // namespace

OperatorPtr stacked(const OperatorPtr& own, Stack stack, const ProcessGroupPtr& group) {
  const c10::IntArrayRef shape = stack.outputShape;
  const bool fits = !shape.empty() && stack.before >= 0 &&
                    stack.before * c10::multiply_integers(shape.slice(1)) + own->rows() <=
                        c10::multiply_integers(shape);
  if (!fits)
    throw Error("ERR_SHAPE_MISMATCH", "this rank has more rows than there are of all ranks");
  if (stack.roots.defined()) {
    if (stack.roots.dim() != 1 || stack.roots.numel() != shape.front())
      throw Error("ERR_SHAPE_MISMATCH", "weights should have one element for each row");
    stack.roots = stack.roots.to(own->options());
  }
  return std::make_shared<Stacked>(own, std::move(stack), group);
}

}  // namespace tc
