#pragma once

#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/program/program.h"
#include "models.h"

namespace tc::test {

/// A program under construction at a point: values are worked out as they are added, so that what
/// comes next can go by their shapes. All choices follow from the seed.
class Sketch {
 public:
  using Shape = std::vector<int64_t>;
  using Argument = Builder::Argument;
  /// A value of the program, and what it is at the point.
  struct Value {
    ProgramSpec::Ref ref;
    at::Tensor data;

    Shape shape() const { return data.sizes().vec(); }
    int64_t dim() const { return data.dim(); }
    int64_t size(int64_t axis) const { return data.size(axis); }
    int64_t numel() const { return data.numel(); }
  };

  /// Starts with inputs of rank 2, 3 and 4 that share their first axis, and two parameters.
  explicit Sketch(uint64_t seed);

  // Choices.
  int64_t below(int64_t count);                ///< 0, …, count − 1
  int64_t between(int64_t low, int64_t high);  ///< both included
  bool chance(double probability);
  double uniform(double low, double high);
  template <typename T>
  const T& pick(const std::vector<T>& list) {
    return list[static_cast<size_t>(below(static_cast<int64_t>(list.size())))];
  }
  int64_t axis(const Value& x) { return below(x.dim()); }
  /// The same axis, counted from the front or from the back.
  double written(int64_t axis, int64_t dim);

  // Values.
  Value parameter(const Shape& shape);
  Value constant(const at::Tensor& data);
  std::vector<Value> calls(const std::string& target, std::vector<Argument> arguments,
                           int64_t outputs);
  Value call(const std::string& target, std::vector<Argument> arguments);
  /// The first of several results, for operators whose others autograd does not differentiate.
  Value first(const std::string& target, std::vector<Argument> arguments, int64_t outputs);
  /// A value that there is, most often the last one.
  Value subject();
  /// A value of this shape: an earlier one, a parameter or a constant.
  Value factor(const Shape& shape);
  /// A value that broadcasts with `x`, whose shape may be smaller, or the larger of the two.
  Value partner(const Value& x);
  /// `x` in another number of axes.
  Value ofRank(Value x, int64_t rank);
  /// x > 0, with derivatives.
  Value positive(const Value& x);
  /// Random whole numbers below `limit`.
  Value indices(const Shape& shape, int64_t limit);
  /// `x`, or something smaller where it is large.
  Value bounded(const Value& x);

  /// The program whose result is one of the last values, most often one that parameters reach.
  Point finish();

 private:
  at::Tensor normal(const Shape& shape);
  void keep(const Value& value);
  bool reaches(const Argument& argument) const;

  std::mt19937_64 random_;
  Builder builder_;
  std::vector<at::Tensor> parameters_;
  std::vector<at::Tensor> inputs_;
  std::vector<at::Tensor> constants_;
  std::vector<at::Tensor> results_;
  std::vector<at::Tensor> computed_;  ///< by the nodes of the program, `nodes_` of them so far
  size_t nodes_ = 0;
  std::vector<Value> pool_;    ///< floating-point values, in order
  std::set<int64_t> reached_;  ///< numbers of the values that depend on parameters
};

}  // namespace tc::test
