#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "core/program/point.h"
#include "core/program/program.h"

namespace tc::testing {

/// Writes programs as a model file would: one ATen call after the other.
class ProgramBuilder {
 public:
  using Argument = ProgramSpec::Argument;

  int64_t parameter(std::vector<int64_t> shape);
  int64_t input() const { return kInput; }
  /// Arguments that are values are given as ProgramSpec::Ref{number}.
  int64_t call(const std::string& target, std::vector<Argument> arguments);
  /// aten::linear with parameters of its own.
  int64_t linear(int64_t value, int64_t in, int64_t out, bool bias = true);
  std::shared_ptr<const Program> build(int64_t output) const;

 private:
  // Parameters are numbered before nodes, and how many there will be is not known yet.
  static constexpr int64_t kInput = 1 << 20;
  ProgramSpec spec_;
};

/// The activations of the contract: operator and arguments after the first.
struct ActivationCall {
  std::string target;
  std::vector<ProgramSpec::Argument> arguments;
};
const std::vector<ActivationCall>& activations();

/// A chain of linear layers, activations and nested residual blocks.
std::shared_ptr<const Program> randomChain(std::mt19937& random);

/// `program` at random parameters, uniform within ± gain / √fan-in, and standard normal inputs.
Point randomPoint(std::shared_ptr<const Program> program, int64_t batch, int64_t width,
                  at::ScalarType dtype, std::mt19937& random, double gain = 1.5);

/// The same point in float64.
Point inDouble(const Point& point);

/// ‖a − b‖ / ‖b‖ in float64; 0 if both are 0; NaN if only one of them is.
double relativeError(const at::Tensor& a, const at::Tensor& b);

/// J v and Jᵀu by libtorch's autograd.
at::Tensor referenceJvp(const Point& point, const at::Tensor& v);
at::Tensor referenceVjp(const Point& point, const at::Tensor& u);

/// The width of the program's input: the second axis of its first weight.
int64_t inputWidth(const Program& program);

}  // namespace tc::testing
