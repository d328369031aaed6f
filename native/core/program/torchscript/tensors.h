#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/program/program.h"
#include "core/program/torchscript/items.h"

namespace torch::jit {
struct Module;
}

namespace tc::torchscript {

/// Whether the tensor lies inside its storage: a damaged file may say otherwise, and libtorch does
/// not look.
bool liesInside(const at::Tensor& tensor);

/// The tensors of a program while it is being made. Value numbers are those of the program except
/// that constants, whose number is not known before the end, are counted from `kConstants`.
class Tensors {
 public:
  static constexpr int64_t kConstants = int64_t{1} << 40;

  /// Finds the parameters of the module: named_parameters() that require gradients, each tensor
  /// once.
  Tensors(const torch::jit::Module& module, std::vector<ProgramSpec::Port> inputs);

  /// The value of a tensor of the module: a parameter, or a constant. Those of other kinds than
  /// typed arrays can hold need a conversion node, which `nodes` receives; complex numbers are kept
  /// as pairs of their parts.
  int64_t valueOf(const at::Tensor& tensor, std::vector<ProgramSpec::Node>& nodes, int64_t next);

  /// A tensor that the model makes in each run anew: its value is a copy, which may be changed.
  void make(const at::Tensor& tensor);

  /// The value number of the first node's output.
  int64_t firstOutput() const;

  const std::vector<ProgramSpec::Parameter>& parameters() const { return parameters_; }
  /// The parameters' common precision; float32 without any.
  at::ScalarType precision() const { return precision_; }
  at::Tensor flatParameters() const;
  const std::vector<std::string>& frozen() const { return frozen_; }
  /// The precision that a constant of floating numbers has in the file.
  std::optional<at::ScalarType> constantPrecision(int64_t value) const;

  // Changes in place, after which a tensor of the model has not the values in the file.

  /// A value may share memory with another.
  void alias(int64_t value, int64_t with);
  /// A node changes what the value lies in.
  void change(int64_t value);
  bool isChanged(const at::Tensor& tensor) const;

  /// Completes the program: numbers the constants and moves the nodes' outputs behind them.
  ProgramSpec finish(std::vector<ProgramSpec::Node> nodes, int64_t output) const;

 private:
  /// Two tensors with the same elements of memory are one, unless one is a parameter and the other
  /// is not, or one is its conjugate or negative.
  using Identity =
      std::tuple<const void*, int64_t, std::vector<int64_t>, std::vector<int64_t>, int>;
  static Identity identityOf(const at::Tensor& tensor);

  std::vector<ProgramSpec::Port> inputs_;
  at::ScalarType precision_ = at::kFloat;
  std::vector<ProgramSpec::Parameter> parameters_;
  std::vector<at::Tensor> values_;  ///< of the parameters
  std::vector<std::string> frozen_;
  std::vector<at::Tensor> constants_;
  std::map<Identity, int64_t> known_;
  std::map<const void*, std::vector<int64_t>> views_;  ///< of each memory, as numbers in `known_`
  std::vector<at::Tensor> kept_;  ///< what `known_` knows by its memory, which nobody else gets
  std::map<int64_t, std::set<const void*>> memories_;  ///< that values may lie in
  std::set<const void*> changed_;
  std::set<const void*> made_;
};

}  // namespace tc::torchscript
