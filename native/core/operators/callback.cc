#include "core/operators/callback.h"

#include <string>
#include <utility>

#include "core/runtime/error.h"

namespace tc {
namespace {

class Callback : public LinearOperator {
 public:
  Callback(int64_t rows, int64_t cols, const at::TensorOptions& options, bool symmetric,
           ProductFunction product, bool additive)
      : LinearOperator(rows, cols, options),
        symmetric_(symmetric),
        additive_(additive),
        product_(std::move(product)) {}

  bool symmetric() const override { return symmetric_; }
  OperatorPtr acrossProcesses(const OperatorPtr& self, const SumOverProcesses& sum) const override {
    return additive_ ? sum(self) : LinearOperator::acrossProcesses(self, sum);
  }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return checked(v.unsqueeze(0), false, stop).squeeze(0);
  }
  at::Tensor applyTransposed(const at::Tensor& u, const StopToken& stop) const override {
    return checked(u.unsqueeze(0), !symmetric_, stop).squeeze(0);
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return checked(vectors, false, stop);
  }
  at::Tensor applyTransposedMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return checked(vectors, !symmetric_, stop);
  }

 private:
  at::Tensor checked(const at::Tensor& vectors, bool transposed, const StopToken& stop) const {
    const at::Tensor result = product_(vectors, transposed, stop);
    const int64_t expected = vectors.size(0) * (transposed ? cols() : rows());
    if (result.numel() != expected) {
      throw Error("ERR_SHAPE_MISMATCH", "the product of a custom operator should have " +
                                            std::to_string(expected) + " elements, got " +
                                            std::to_string(result.numel()));
    }
    if (result.dtype() != options().dtype()) {
      throw Error("ERR_DTYPE_MISMATCH",
                  "the product of a custom operator should have the operator's precision");
    }
    return result.to(options().device()).view({vectors.size(0), transposed ? cols() : rows()});
  }

  bool symmetric_;
  bool additive_;
  ProductFunction product_;
};

}  // namespace

OperatorPtr callbackOperator(int64_t rows, int64_t cols, const at::TensorOptions& options,
                             bool symmetric, ProductFunction product, bool additive) {
  if (rows < 0 || cols < 0)
    throw Error("ERR_INVALID_ARGUMENT", "an operator cannot have fewer than no rows or columns");
  if (symmetric && rows != cols)
    throw Error("ERR_SHAPE_MISMATCH", "a symmetric operator should be square");
  return std::make_shared<Callback>(rows, cols, options, symmetric, std::move(product), additive);
}

}  // namespace tc
