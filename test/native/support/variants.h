#pragma once

#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "core/program/program.h"
#include "models.h"

namespace tc::test {

/// A call of one operator as a program on parameters: drawn from the operator's schema, which says
/// what kinds of arguments there are but not which go together. So libtorch refuses many.
struct Variant {
  std::string text;  ///< the call in words
  Point point;
  /// Everything on the way is float64, so that finite differences show the derivative.
  bool exact = true;
};

/// Draws calls of one operator: precisions, masks and whole numbers, optional arguments with and
/// without, axes counted from either end, shapes that broadcast, layouts that are not contiguous,
/// and any of the floating-point tensors as parameters, the others as constants. Shapes are most
/// often of sizes 2 only, so that anything fits anything.
class VariantSource {
 public:
  /// `op` with its overload, `aten::mul.Tensor`.
  VariantSource(const std::string& op, uint64_t seed);

  /// Whether a program can express a call at all: one that changes its arguments, or names axes,
  /// cannot be.
  bool expressible() const;
  /// None where no floating-point tensor was drawn to be a parameter. Throws what the program
  /// throws where it refuses the call by itself.
  std::optional<Variant> draw();

 private:
  using Argument = ProgramSpec::Argument;
  using Shape = std::vector<int64_t>;

  int64_t below(int64_t count);
  bool chance(double probability);
  template <typename T>
  const T& pick(const std::vector<T>& list) {
    return list[static_cast<size_t>(below(static_cast<int64_t>(list.size())))];
  }

  Shape shape(const std::string& name);
  at::Tensor values(const Shape& shape, at::ScalarType type, const std::string& name);
  Argument tensor(const std::string& name);
  Argument number(const std::string& name);
  Argument numbers(const std::string& name);
  Argument draw(const c10::Argument& formal);
  Argument draw(const std::string& name, const c10::TypePtr& type);

  const c10::FunctionSchema& schema_;
  std::string op_;
  std::mt19937_64 random_;

  // Of the variant at hand.
  bool plain_ = true;  ///< everything is float64
  bool alike_ = true;  ///< all sizes are 2
  int64_t rank_ = 2;   ///< of most tensors
  std::optional<Builder> builder_;
  std::vector<at::Tensor> parameters_;
  bool exact_ = true;
  std::string text_;
};

}  // namespace tc::test
