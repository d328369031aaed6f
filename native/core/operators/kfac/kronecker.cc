#include "core/operators/kfac/kronecker.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/StringUtil.h>
#include <c10/util/accumulate.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/runtime/error.h"

namespace tc {
namespace {

/// V [k, P] → [k, P], block by block; `map(block, X)` gives a tensor of the shape of X.
template <typename Blocks, typename Map>
at::Tensor byBlocks(const Blocks& blocks, const at::Tensor& vectors, const StopToken& stop,
                    Map&& map) {
  at::Tensor result = at::empty_like(vectors, at::MemoryFormat::Contiguous);
  for (const auto& each : blocks) {
    stop.poll();
    each.block.scatter(map(each, each.block.gather(vectors)), result);
  }
  return result;
}

at::Tensor rotated(const EigenBlock& block, const at::Tensor& x, bool transposed) {
  return fromRight(fromLeft(block.left, x, transposed), block.right, !transposed);
}

int64_t bytesOf(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<int64_t>(tensor.nbytes()) : 0;
}

/// One after another, as one vector.
at::Tensor flattened(const std::vector<at::Tensor>& tensors, const at::TensorOptions& options) {
  if (tensors.empty()) return at::empty({0}, options);
  std::vector<at::Tensor> flat;
  flat.reserve(tensors.size());
  for (const at::Tensor& each : tensors) flat.push_back(each.reshape({-1}));
  return at::cat(flat);
}

/// Takes tensors out of such a vector again.
class Flattened {
 public:
  explicit Flattened(at::Tensor vector) : vector_(std::move(vector)) {}
  at::Tensor next(at::IntArrayRef shape) {
    const int64_t length = c10::multiply_integers(shape);
    const int64_t begin = std::exchange(begin_, begin_ + length);
    return vector_.narrow(0, begin, length).view(shape);
  }

 private:
  at::Tensor vector_;
  int64_t begin_ = 0;
};

std::string describe(const char* what, size_t blocks, int64_t length) {
  return c10::str(what, " of ", blocks, " blocks of ", length, " parameters");
}

Error differentKinds() {
  return Error("ERR_INVALID_ARGUMENT", "Kronecker factors of different kinds cannot be joined");
}

class EigenOperator : public KroneckerOperator {
 public:
  EigenOperator(std::vector<EigenBlock> blocks, int64_t length, const at::TensorOptions& options)
      : KroneckerOperator(length, length, options), blocks_(std::move(blocks)) {}

  int64_t bytes() const override {
    int64_t total = 0;
    for (const EigenBlock& each : blocks_)
      total += bytesOf(each.left) + bytesOf(each.right) + bytesOf(each.values);
    return total;
  }
  double trace(const StopToken&) const override {
    double sum = 0;
    for (const EigenBlock& each : blocks_) sum += each.values.sum().item<double>();
    return sum;
  }
  double frobeniusNorm(const StopToken&) const override {
    double sum = 0;
    for (const EigenBlock& each : blocks_) sum += (each.values * each.values).sum().item<double>();
    return std::sqrt(sum);
  }
  const std::vector<EigenBlock>& eigenBlocks(const StopToken&) const override { return blocks_; }
  KroneckerPtr joined(const KroneckerOperator& other) const override {
    const auto* same = dynamic_cast<const EigenOperator*>(&other);
    if (same == nullptr || same->blocks_.size() != blocks_.size()) throw differentKinds();
    std::vector<EigenBlock> both = blocks_;
    for (size_t i = 0; i < both.size(); ++i) {
      both[i].values = both[i].values + same->blocks_[i].values;
      if (!both[i].singular.defined()) both[i].singular = same->blocks_[i].singular;
    }
    return eigenOperator(std::move(both), rows(), options());
  }
  KroneckerPtr joinedBy(const VectorSum& sum) const override {
    std::vector<at::Tensor> values;
    std::vector<at::Tensor> vectors;
    for (const EigenBlock& each : blocks_) {
      values.push_back(each.values);
      for (const at::Tensor& side : {each.left, each.right})
        if (side.defined()) vectors.push_back(side);
    }
    // Eigenvalues in different bases do not add up, and a basis is not the same for all time where
    // processors round differently.
    Flattened all(sum(flattened(values, options()),
                      describe("eigenvalues of Kronecker factors", blocks_.size(), rows()),
                      flattened(vectors, options())));
    std::vector<EigenBlock> together = blocks_;
    for (EigenBlock& each : together) each.values = all.next(each.values.sizes());
    return eigenOperator(std::move(together), rows(), options());
  }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return applyMany(v.unsqueeze(0), stop).squeeze(0);
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return byBlocks(blocks_, vectors, stop, [](const EigenBlock& each, const at::Tensor& x) {
      return rotated(each, each.values * rotated(each, x, /*transposed=*/true), false);
    });
  }
  at::Tensor makeDiagonal(const StopToken& stop) const override {
    at::Tensor result = at::empty({1, rows()}, options());
    for (const EigenBlock& each : blocks_) {
      stop.poll();
      const auto squared = [](const at::Tensor& q) { return q.defined() ? q * q : q; };
      const at::Tensor values = each.values.unsqueeze(0);
      each.block.scatter(fromRight(fromLeft(squared(each.left), values, false), squared(each.right),
                                   /*transposed=*/true),
                         result);
    }
    return result.squeeze(0);
  }

  at::Tensor factorDamped(size_t, double, Damping, const StopToken&) const override {
    throw Error("ERR_INVALID_ARGUMENT",
                "method 'heuristic' and 'pi' damp the factors of a kfac, and this operator has "
                "none; use 'exact'");
  }

 private:
  std::vector<EigenBlock> blocks_;
};

class FactoredOperator : public KroneckerOperator {
 public:
  FactoredOperator(std::vector<KroneckerBlock> blocks, int64_t length,
                   const at::TensorOptions& options)
      : KroneckerOperator(length, length, options), blocks_(std::move(blocks)) {}

  int64_t bytes() const override {
    int64_t total = 0;
    for (const KroneckerBlock& each : blocks_) total += each.mean.bytes() + each.sum.bytes();
    return total;
  }
  double trace(const StopToken&) const override {
    double sum = 0;
    for (const KroneckerBlock& each : blocks_)
      sum += (each.left().traces() * each.right().traces()).sum().item<double>();
    return sum;
  }
  double frobeniusNorm(const StopToken&) const override {
    double sum = 0;
    for (const KroneckerBlock& each : blocks_)
      sum += (each.left().squaredNorms() * each.right().squaredNorms()).sum().item<double>();
    return std::sqrt(sum);
  }

  const std::vector<EigenBlock>& eigenBlocks(const StopToken& stop) const override {
    return spectrum(stop).blocks;
  }
  KroneckerPtr joined(const KroneckerOperator& other) const override {
    const auto* same = dynamic_cast<const FactoredOperator*>(&other);
    if (same == nullptr || same->blocks_.size() != blocks_.size()) throw differentKinds();
    std::vector<KroneckerBlock> both = blocks_;
    for (size_t i = 0; i < both.size(); ++i) {
      const KroneckerBlock& another = same->blocks_[i];
      const double weight = both[i].weight + another.weight;
      if (weight > 0) {
        both[i].mean =
            combined(both[i].mean, both[i].weight / weight, another.mean, another.weight / weight);
      }
      both[i].weight = weight;
      both[i].sum = combined(both[i].sum, 1, another.sum, 1);
    }
    return kroneckerOperator(std::move(both), rows(), options());
  }
  KroneckerPtr joinedBy(const VectorSum& sum) const override {
    // What the means divide by, and whether anywhere there is a factor that is not diagonal: where
    // there are no rows, all of them are.
    const auto length = static_cast<int64_t>(blocks_.size());
    const at::Tensor own = at::empty({length, 3}, at::kDouble);
    for (int64_t i = 0; i < length; ++i) {
      const KroneckerBlock& each = blocks_[static_cast<size_t>(i)];
      own[i][0] = each.weight;
      own[i][1] = each.mean.isDiagonal() ? 0 : 1;
      own[i][2] = each.sum.isDiagonal() ? 0 : 1;
    }
    const at::Tensor all =
        sum(own, describe("weights of Kronecker factors", blocks_.size(), rows()), {});
    std::vector<KroneckerBlock> together = blocks_;
    std::vector<at::Tensor> values;
    for (int64_t i = 0; i < length; ++i) {
      KroneckerBlock& each = together[static_cast<size_t>(i)];
      const auto total = all[i][0].item<double>();
      const bool fullMean = all[i][1].item<double>() > 0;
      const bool fullSum = all[i][2].item<double>() > 0;
      if (fullMean) each.mean = each.mean.asFull();
      if (fullSum) each.sum = each.sum.asFull();
      if (total > 0) values.push_back(each.mean.values() * (each.weight / total));
      values.push_back(each.sum.values());
      each.weight = total;
    }
    Flattened sums(sum(flattened(values, options()),
                       describe("Kronecker factors", blocks_.size(), rows()), {}));
    for (KroneckerBlock& each : together) {
      if (each.weight > 0) each.mean = Factor::of(sums.next(each.mean.values().sizes()));
      each.sum = Factor::of(sums.next(each.sum.values().sizes()));
    }
    return kroneckerOperator(std::move(together), rows(), options());
  }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return applyMany(v.unsqueeze(0), stop).squeeze(0);
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return byBlocks(blocks_, vectors, stop, [](const KroneckerBlock& each, const at::Tensor& x) {
      return each.right().right(each.left().left(x));
    });
  }
  at::Tensor makeDiagonal(const StopToken& stop) const override {
    at::Tensor result = at::empty({1, rows()}, options());
    for (const KroneckerBlock& each : blocks_) {
      stop.poll();
      const at::Tensor values =
          each.left().diagonals().unsqueeze(2) * each.right().diagonals().unsqueeze(1);
      each.block.scatter(values.unsqueeze(0), result);
    }
    return result.squeeze(0);
  }

  at::Tensor factorDamped(size_t i, double damping, Damping method,
                          const StopToken& stop) const override {
    const auto& [left, right] = spectrum(stop).factors[i];
    const double root = std::sqrt(damping);
    if (method == Damping::kHeuristic)
      return (left + root).unsqueeze(2) * (right + root).unsqueeze(1);
    const at::Tensor ofLeft = left.mean(1, /*keepdim=*/true);
    const at::Tensor ofRight = right.mean(1, /*keepdim=*/true);
    // A side without curvature has no scale to go by.
    const at::Tensor pi = at::where((ofLeft > 0) & (ofRight > 0), ofLeft / ofRight, 1).sqrt();
    return (left + root * pi).unsqueeze(2) * (right + root / pi).unsqueeze(1);
  }

 private:
  struct Spectrum {
    std::vector<EigenBlock> blocks;
    std::vector<std::pair<at::Tensor, at::Tensor>> factors;  ///< eigenvalues of L and R, by block
  };

  /// Found once; a search that is stopped leaves nothing behind.
  const Spectrum& spectrum(const StopToken& stop) const {
    const auto lock = lockOf(mutex_, stop);
    if (!spectrum_) spectrum_ = findSpectrum(stop);
    return *spectrum_;
  }
  Spectrum findSpectrum(const StopToken& stop) const {
    Spectrum found;
    for (const KroneckerBlock& each : blocks_) {
      const Factor::Eigen left = each.left().eigen(stop);
      const Factor::Eigen right = each.right().eigen(stop);
      found.blocks.push_back({each.block, left.vectors, right.vectors,
                              left.values.unsqueeze(2) * right.values.unsqueeze(1)});
      found.factors.emplace_back(left.values, right.values);
    }
    return found;
  }

  std::vector<KroneckerBlock> blocks_;
  mutable std::mutex mutex_;
  mutable std::optional<Spectrum> spectrum_;
};

/// Q, whose columns are the eigenvectors.
class Eigenvectors : public LinearOperator {
 public:
  Eigenvectors(std::vector<EigenBlock> blocks, at::Tensor order)
      : LinearOperator(order.numel(), order.numel(), blocks.front().values.options()),
        blocks_(std::move(blocks)),
        order_(std::move(order)) {}

  bool symmetric() const override { return false; }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return applyMany(v.unsqueeze(0), stop).squeeze(0);
  }
  at::Tensor applyTransposed(const at::Tensor& u, const StopToken& stop) const override {
    return applyTransposedMany(u.unsqueeze(0), stop).squeeze(0);
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    const at::Tensor places = at::zeros_like(vectors).index_copy(1, order_, vectors);
    return byBlocks(blocks_, places, stop, [](const EigenBlock& each, const at::Tensor& x) {
      return rotated(each, x, /*transposed=*/false);
    });
  }
  at::Tensor applyTransposedMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return byBlocks(blocks_, vectors, stop,
                    [](const EigenBlock& each, const at::Tensor& x) {
                      return rotated(each, x, /*transposed=*/true);
                    })
        .index_select(1, order_);
  }

 private:
  std::vector<EigenBlock> blocks_;
  at::Tensor order_;  ///< the place of each eigenvalue among those of the blocks, laid out like θ
};

}  // namespace

Damping findDamping(const std::string& name) {
  if (name == "exact") return Damping::kExact;
  if (name == "heuristic") return Damping::kHeuristic;
  if (name == "pi") return Damping::kPi;
  throw Error("ERR_INVALID_ARGUMENT",
              "method should be 'exact', 'heuristic' or 'pi', got '" + name + "'");
}

at::Tensor EigenBlock::damped(double damping) const {
  if (!singular.defined() || damping != 0) return values + damping;
  const int64_t length = std::max(values.size(1), values.size(2));
  return at::where(singular, withoutRounding(values, {1, 2}, length), values);
}

double KroneckerOperator::logdet(double damping, const StopToken& stop) const {
  double sum = 0;
  for (const EigenBlock& each : eigenBlocks(stop))
    sum += each.damped(damping).log().sum().item<double>();
  return sum;
}

KroneckerPtr KroneckerOperator::inverse(double damping, Damping method,
                                        const StopToken& stop) const {
  std::vector<EigenBlock> blocks = eigenBlocks(stop);
  for (size_t i = 0; i < blocks.size(); ++i) {
    const bool exactly = method == Damping::kExact || !blocks[i].block.layer;
    const at::Tensor values =
        exactly ? blocks[i].damped(damping) : factorDamped(i, damping, method, stop);
    if ((values == 0).any().item<bool>()) {
      throw Error("ERR_INVALID_ARGUMENT",
                  "the matrix is singular: give a damping above 0, { damping: 1e-3 }");
    }
    blocks[i].values = 1 / values;
    blocks[i].singular = at::Tensor();
  }
  return eigenOperator(std::move(blocks), rows(), options());
}

KroneckerOperator::Eigh KroneckerOperator::eigh(const StopToken& stop) const {
  const std::vector<EigenBlock>& blocks = eigenBlocks(stop);
  at::Tensor values = at::empty({1, rows()}, options());
  for (const EigenBlock& each : blocks) each.block.scatter(each.values.unsqueeze(0), values);
  auto [sorted, order] = values.squeeze(0).sort();
  if (blocks.empty()) return {sorted, kroneckerOperator({}, 0, options())};
  return {sorted, std::make_shared<Eigenvectors>(blocks, order)};
}

KroneckerPtr kroneckerOperator(std::vector<KroneckerBlock> blocks, int64_t length,
                               const at::TensorOptions& options) {
  return std::make_shared<FactoredOperator>(std::move(blocks), length, options);
}

KroneckerPtr eigenOperator(std::vector<EigenBlock> blocks, int64_t length,
                           const at::TensorOptions& options) {
  return std::make_shared<EigenOperator>(std::move(blocks), length, options);
}

}  // namespace tc
