#include "core/operators/centered_parts.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <utility>

#include "core/runtime/error.h"
#include "core/runtime/sum.h"

namespace tc {
namespace {

class Part : public LinearOperator {
 public:
  Part(LinearizationPtr linearization, std::shared_ptr<const CenteredMap> map, int64_t rows,
       int64_t cols)
      : LinearOperator(rows, cols, linearization->point().params.options()),
        linearization_(std::move(linearization)),
        map_(std::move(map)) {}

  bool symmetric() const override { return false; }
  int64_t bytes() const override { return linearization_->bytes() + map_->bytes(); }

 protected:
  int64_t parameters() const { return linearization_->parameters(); }

  /// wᵀBJ v
  at::Tensor sums(const at::Tensor& v, const StopToken& stop) const {
    Sum sum;
    sum.add(at::zeros({map_->means()}, options()));
    linearization_->forEach(stop, [&](Linearization& part, int64_t begin, int64_t end) {
      sum.add(map_->weightedSum(part.jvp(v, stop), begin, end));
    });
    return sum.total();
  }
  /// JᵀBᵀW(BJ v − 1 meanᵀ); an undefined v or mean is zero.
  at::Tensor around(const at::Tensor& v, const at::Tensor& mean, const StopToken& stop) const {
    Sum sum;
    sum.add(at::zeros({parameters()}, options()));
    linearization_->forEach(stop, [&](Linearization& part, int64_t begin, int64_t end) {
      const at::Tensor u =
          v.defined() ? part.jvp(v, stop)
                      : at::zeros_like(linearization_->output().narrow(0, begin, end - begin));
      sum.add(part.vjp(map_->applyAround(u, mean, begin, end), stop));
    });
    return sum.total();
  }

 private:
  LinearizationPtr linearization_;
  std::shared_ptr<const CenteredMap> map_;
};

class WeightedSums : public Part {
 public:
  using Part::Part;

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return sums(v, stop);
  }
  at::Tensor applyTransposed(const at::Tensor& mean, const StopToken& stop) const override {
    return around({}, -mean, stop);
  }
};

class ProductAround : public Part {
 public:
  using Part::Part;

 protected:
  at::Tensor apply(const at::Tensor& both, const StopToken& stop) const override {
    return around(both.slice(0, 0, parameters()), both.slice(0, parameters()), stop);
  }
  at::Tensor applyTransposed(const at::Tensor& v, const StopToken& stop) const override {
    return at::cat({around(v, {}, stop), -sums(v, stop)});
  }
};

class Centered : public LinearOperator {
 public:
  Centered(CenteredParts parts, double scale, bool antisymmetric)
      : LinearOperator(parts.around->rows(), parts.around->rows(), parts.around->options()),
        parts_(std::move(parts)),
        scale_(scale),
        antisymmetric_(antisymmetric) {}

  bool symmetric() const override { return !antisymmetric_; }
  OperatorPtr acrossProcesses(const OperatorPtr& self, const SumOverProcesses& sum) const override {
    return sum(self);
  }
  std::optional<CenteredParts> centeredParts() const override { return parts_; }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return applyMany(v.unsqueeze(0), stop).squeeze(0);
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    const double share = parts_.weight > 0 ? 1 / parts_.weight : 0;
    const at::Tensor means = parts_.sums->matmat(vectors, stop) * share;
    return parts_.around->matmat(at::cat({vectors, means}, 1), stop).mul_(scale_);
  }
  at::Tensor applyTransposed(const at::Tensor& v, const StopToken& stop) const override {
    const at::Tensor product = apply(v, stop);
    return antisymmetric_ ? product.neg() : product;
  }
  at::Tensor applyTransposedMany(const at::Tensor& vectors, const StopToken& stop) const override {
    const at::Tensor products = applyMany(vectors, stop);
    return antisymmetric_ ? products.neg() : products;
  }

 private:
  CenteredParts parts_;
  double scale_;
  bool antisymmetric_;
};

}  // namespace

OperatorPtr centered(CenteredParts parts, double scale, bool antisymmetric) {
  return std::make_shared<Centered>(std::move(parts), scale, antisymmetric);
}

OperatorPtr weightedSums(LinearizationPtr linearization, std::shared_ptr<const CenteredMap> map) {
  const int64_t means = map->means();
  const int64_t parameters = linearization->parameters();
  return std::make_shared<WeightedSums>(std::move(linearization), std::move(map), means,
                                        parameters);
}

OperatorPtr productAround(LinearizationPtr linearization, std::shared_ptr<const CenteredMap> map) {
  const int64_t means = map->means();
  const int64_t parameters = linearization->parameters();
  return std::make_shared<ProductAround>(std::move(linearization), std::move(map), parameters,
                                         parameters + means);
}

OperatorPtr centeredPart(const std::string& name, LinearizationPtr linearization,
                         std::shared_ptr<const CenteredMap> map) {
  if (name == "sums") return weightedSums(std::move(linearization), std::move(map));
  if (name == "around") return productAround(std::move(linearization), std::move(map));
  if (name.empty()) return sandwich(std::move(linearization), std::move(map));
  throw Error("ERR_INVALID_ARGUMENT", "part should be 'sums' or 'around', got '" + name + "'");
}

}  // namespace tc
