#include "core/operators/combine.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <string>

#include "core/runtime/error.h"

namespace tc {
namespace {

class Sum : public LinearOperator {
 public:
  explicit Sum(std::vector<OperatorPtr> terms)
      : LinearOperator(terms.front()->rows(), terms.front()->cols(), terms.front()->options()),
        terms_(std::move(terms)) {}

  bool symmetric() const override {
    return std::all_of(terms_.begin(), terms_.end(),
                       [](const OperatorPtr& term) { return term->symmetric(); });
  }
  OperatorPtr acrossProcesses(const OperatorPtr&, const SumOverProcesses& over) const override {
    std::vector<OperatorPtr> terms;
    terms.reserve(terms_.size());
    for (const OperatorPtr& term : terms_) terms.push_back(term->acrossProcesses(term, over));
    return sum(std::move(terms));
  }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return total([&](const LinearOperator& term) { return term.matvec(v, stop); });
  }
  at::Tensor applyTransposed(const at::Tensor& u, const StopToken& stop) const override {
    return total([&](const LinearOperator& term) { return term.rmatvec(u, stop); });
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return total([&](const LinearOperator& term) { return term.matmat(vectors, stop); });
  }
  at::Tensor applyTransposedMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return total([&](const LinearOperator& term) { return term.rmatmat(vectors, stop); });
  }
  at::Tensor makeDense(const StopToken& stop) const override {
    return total([&](const LinearOperator& term) { return term.toDense(stop); });
  }
  at::Tensor makeDiagonal(const StopToken& stop) const override {
    return total([&](const LinearOperator& term) { return term.diagonal(stop); });
  }

 private:
  template <typename Part>
  at::Tensor total(Part&& part) const {
    at::Tensor result = part(*terms_.front());
    for (size_t i = 1; i < terms_.size(); ++i) result.add_(part(*terms_[i]));
    return result;
  }

  std::vector<OperatorPtr> terms_;
};

/// c A + λ I
class Affine : public LinearOperator {
 public:
  Affine(OperatorPtr a, double factor, double shift)
      : LinearOperator(a->rows(), a->cols(), a->options()),
        a_(std::move(a)),
        factor_(factor),
        shift_(shift) {}

  const char* engine() const override { return a_->engine(); }
  bool symmetric() const override { return a_->symmetric(); }
  OperatorPtr acrossProcesses(const OperatorPtr&, const SumOverProcesses& sum) const override {
    if (shift_ != 0) {
      throw Error(
          "ERR_INVALID_ARGUMENT",
          "a sum over processes would have the damping once for each of them: damp the sum, "
          "distributed(op).damp(lambda)");
    }
    return scaled(a_->acrossProcesses(a_, sum), factor_);
  }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return finish(a_->matvec(v, stop), v);
  }
  at::Tensor applyTransposed(const at::Tensor& u, const StopToken& stop) const override {
    return finish(a_->rmatvec(u, stop), u);
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return finish(a_->matmat(vectors, stop), vectors);
  }
  at::Tensor applyTransposedMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return finish(a_->rmatmat(vectors, stop), vectors);
  }
  at::Tensor makeDense(const StopToken& stop) const override {
    at::Tensor dense = a_->toDense(stop);
    if (factor_ != 1) dense.mul_(factor_);
    if (shift_ != 0) dense.diagonal().add_(shift_);
    return dense;
  }
  at::Tensor makeDiagonal(const StopToken& stop) const override {
    return a_->diagonal(stop).mul_(factor_).add_(shift_);
  }

 private:
  at::Tensor finish(at::Tensor result, const at::Tensor& v) const {
    if (factor_ != 1) result.mul_(factor_);
    if (shift_ != 0) result.add_(v, shift_);
    return result;
  }

  OperatorPtr a_;
  double factor_;
  double shift_;
};

class Product : public LinearOperator {
 public:
  Product(OperatorPtr a, OperatorPtr b)
      : LinearOperator(a->rows(), b->cols(), a->options()), a_(std::move(a)), b_(std::move(b)) {}

  bool symmetric() const override { return false; }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return a_->matvec(b_->matvec(v, stop), stop);
  }
  at::Tensor applyTransposed(const at::Tensor& u, const StopToken& stop) const override {
    return b_->rmatvec(a_->rmatvec(u, stop), stop);
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return a_->matmat(b_->matmat(vectors, stop), stop);
  }
  at::Tensor applyTransposedMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return b_->rmatmat(a_->rmatmat(vectors, stop), stop);
  }

 private:
  OperatorPtr a_;
  OperatorPtr b_;
};

class Transposed : public LinearOperator {
 public:
  explicit Transposed(OperatorPtr a)
      : LinearOperator(a->cols(), a->rows(), a->options()), a_(std::move(a)) {}

  const char* engine() const override { return a_->engine(); }
  bool symmetric() const override { return a_->symmetric(); }
  OperatorPtr acrossProcesses(const OperatorPtr&, const SumOverProcesses& sum) const override {
    return transposed(a_->acrossProcesses(a_, sum));
  }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return a_->rmatvec(v, stop);
  }
  at::Tensor applyTransposed(const at::Tensor& u, const StopToken& stop) const override {
    return a_->matvec(u, stop);
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return a_->rmatmat(vectors, stop);
  }
  at::Tensor applyTransposedMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return a_->matmat(vectors, stop);
  }
  at::Tensor makeDense(const StopToken& stop) const override {
    return a_->toDense(stop).t().contiguous();
  }
  at::Tensor makeDiagonal(const StopToken& stop) const override { return a_->diagonal(stop); }

 private:
  OperatorPtr a_;
};

int64_t count(const IndexRanges& ranges) {
  int64_t total = 0;
  for (const auto& [begin, end] : ranges) total += end - begin;
  return total;
}

/// The entries of the ranges along the last axis.
at::Tensor gather(const at::Tensor& full, const IndexRanges& ranges) {
  auto shape = full.sizes().vec();
  shape.back() = count(ranges);
  at::Tensor part = at::empty(shape, full.options());
  int64_t offset = 0;
  for (const auto& [begin, end] : ranges) {
    part.narrow(-1, offset, end - begin).copy_(full.narrow(-1, begin, end - begin));
    offset += end - begin;
  }
  return part;
}

/// The transpose of `gather`: zeros outside of the ranges.
at::Tensor scatter(const at::Tensor& part, const IndexRanges& ranges, int64_t length) {
  auto shape = part.sizes().vec();
  shape.back() = length;
  at::Tensor full = at::zeros(shape, part.options());
  int64_t offset = 0;
  for (const auto& [begin, end] : ranges) {
    full.narrow(-1, begin, end - begin).add_(part.narrow(-1, offset, end - begin));
    offset += end - begin;
  }
  return full;
}

class Submatrix : public LinearOperator {
 public:
  Submatrix(OperatorPtr a, IndexRanges rows, IndexRanges cols)
      : LinearOperator(count(rows), count(cols), a->options()),
        a_(std::move(a)),
        rows_(std::move(rows)),
        cols_(std::move(cols)) {}

  bool symmetric() const override { return a_->symmetric() && rows_ == cols_; }
  OperatorPtr acrossProcesses(const OperatorPtr&, const SumOverProcesses& sum) const override {
    return submatrix(a_->acrossProcesses(a_, sum), rows_, cols_);
  }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return gather(a_->matvec(scatter(v, cols_, a_->cols()), stop), rows_);
  }
  at::Tensor applyTransposed(const at::Tensor& u, const StopToken& stop) const override {
    return gather(a_->rmatvec(scatter(u, rows_, a_->rows()), stop), cols_);
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return gather(a_->matmat(scatter(vectors, cols_, a_->cols()), stop), rows_);
  }
  at::Tensor applyTransposedMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return gather(a_->rmatmat(scatter(vectors, rows_, a_->rows()), stop), cols_);
  }

 private:
  OperatorPtr a_;
  IndexRanges rows_;
  IndexRanges cols_;
};

std::string describe(const LinearOperator& op) {
  return std::to_string(op.rows()) + " by " + std::to_string(op.cols());
}

void requireSameKind(const LinearOperator& a, const LinearOperator& b) {
  if (a.options().dtype() != b.options().dtype() || a.options().device() != b.options().device()) {
    throw Error("ERR_DTYPE_MISMATCH",
                "operators that are combined should share their precision and their device");
  }
}

void requireInside(const IndexRanges& ranges, int64_t length) {
  for (const auto& [begin, end] : ranges) {
    if (begin >= 0 && begin <= end && end <= length) continue;
    throw Error("ERR_INVALID_ARGUMENT", "the range [" + std::to_string(begin) + ", " +
                                            std::to_string(end) + ") is not within 0 to " +
                                            std::to_string(length));
  }
}

}  // namespace

OperatorPtr sum(std::vector<OperatorPtr> terms) {
  if (terms.empty()) throw Error("ERR_INVALID_ARGUMENT", "a sum needs at least one operator");
  const LinearOperator& first = *terms.front();
  for (const OperatorPtr& term : terms) {
    if (term->rows() != first.rows() || term->cols() != first.cols()) {
      throw Error("ERR_SHAPE_MISMATCH", "operators of different shape cannot be added: " +
                                            describe(first) + " and " + describe(*term));
    }
    requireSameKind(first, *term);
  }
  return std::make_shared<Sum>(std::move(terms));
}

OperatorPtr scaled(OperatorPtr a, double factor) {
  return std::make_shared<Affine>(std::move(a), factor, 0);
}

OperatorPtr shifted(OperatorPtr a, double lambda) {
  requireSquare(*a, "damping");
  return std::make_shared<Affine>(std::move(a), 1, lambda);
}

OperatorPtr transposed(OperatorPtr a) {
  if (a->symmetric()) return a;
  return std::make_shared<Transposed>(std::move(a));
}

OperatorPtr product(OperatorPtr a, OperatorPtr b) {
  if (a->cols() != b->rows()) {
    throw Error("ERR_SHAPE_MISMATCH", "operators of these shapes cannot be multiplied: " +
                                          describe(*a) + " and " + describe(*b));
  }
  requireSameKind(*a, *b);
  return std::make_shared<Product>(std::move(a), std::move(b));
}

OperatorPtr submatrix(OperatorPtr a, IndexRanges rows, IndexRanges cols) {
  requireInside(rows, a->rows());
  requireInside(cols, a->cols());
  return std::make_shared<Submatrix>(std::move(a), std::move(rows), std::move(cols));
}

}  // namespace tc
