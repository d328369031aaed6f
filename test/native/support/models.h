#pragma once

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "core/losses/objective.h"
#include "core/program/point.h"
#include "core/program/program.h"

namespace tc::test {

/// Builds a program node by node.
class Builder {
 public:
  using Argument = ProgramSpec::Argument;
  explicit Builder(int64_t inputs = 1) { spec_.inputs.resize(static_cast<size_t>(inputs)); }

  ProgramSpec::Ref input(int64_t i = 0) const { return {kInput + i}; }
  ProgramSpec::Ref parameter(std::vector<int64_t> shape);
  ProgramSpec::Ref constant(const at::Tensor& data);
  /// Adds a call and returns its first value.
  ProgramSpec::Ref call(const std::string& target, std::vector<Argument> args, int64_t outputs = 1);
  ProgramSpec::Ref linear(ProgramSpec::Ref x, int64_t in, int64_t out);

  std::shared_ptr<const Program> build(ProgramSpec::Ref output) const;

  /// Value numbers while the numbers of parameters, inputs and constants are still open.
  static constexpr int64_t kInput = 1'000;
  static constexpr int64_t kConstant = 1'500;
  static constexpr int64_t kNode = 2'000;

 private:
  ProgramSpec spec_;
  int64_t values_ = 0;
};

struct Model {
  std::string name;
  Point point;
  std::string loss;
  at::Tensor target;
};

/// Small models of every kind of layer, in float64, with data and a target for a loss that fits.
std::vector<Model> models();

/// The point with so many times its rows, over and over.
Point repeated(Point point, int64_t times);

/// J, [N·outputs, P], a row at a time by plain autograd.
at::Tensor jacobianByRows(const Point& point);
at::Tensor runModel(const Point& point, const at::Tensor& params);

/// PyTorch's own loss.
at::Tensor torchLoss(const std::string& name, const at::Tensor& y, const at::Tensor& target,
                     int64_t reduction);

/// max |a − b| / max(|b|, 1e-12)
double difference(const at::Tensor& a, const at::Tensor& b);

at::Tensor randomLike(const at::Tensor& tensor, uint64_t seed);

}  // namespace tc::test
