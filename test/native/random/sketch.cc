#include "sketch.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/linearization/autograd/differentiable_kernels.h"
#include "core/runtime/random.h"

namespace tc::test {
namespace {

constexpr int64_t kLargestPartner = 200;
constexpr double kLargestValue = 6;

}  // namespace

Sketch::Sketch(uint64_t seed) : random_(seed), builder_(3) {
  const int64_t batch = between(1, 4);
  const std::vector<Shape> shapes = {
      {batch, between(1, 6)}, {batch, between(1, 3), 3}, {batch, between(1, 2), 4, 4}};
  for (const Shape& shape : shapes) {
    inputs_.push_back(normal(shape));
    keep({builder_.input(static_cast<int64_t>(inputs_.size()) - 1), inputs_.back()});
  }
  parameter({shapes[1][1], 3});
  keep(parameter(shapes[0]));
}

int64_t Sketch::below(int64_t count) {
  return static_cast<int64_t>(random_() % static_cast<uint64_t>(count));
}
int64_t Sketch::between(int64_t low, int64_t high) { return low + below(high - low + 1); }
double Sketch::uniform(double low, double high) {
  return low + (high - low) * static_cast<double>(random_() >> 11U) * 0x1p-53;
}
bool Sketch::chance(double probability) { return uniform(0, 1) < probability; }

double Sketch::written(int64_t axis, int64_t dim) {
  return static_cast<double>(chance(0.3) ? axis - dim : axis);
}

Sketch::Value Sketch::parameter(const Shape& shape) {
  parameters_.push_back(normal(shape) * 0.7);
  const Value value{builder_.parameter(shape), parameters_.back()};
  reached_.insert(value.ref.value);
  keep(value);
  return value;
}

Sketch::Value Sketch::constant(const at::Tensor& data) {
  constants_.push_back(data);
  return {builder_.constant(data), data};
}

std::vector<Sketch::Value> Sketch::calls(const std::string& target, std::vector<Argument> arguments,
                                         int64_t outputs) {
  const bool reached =
      std::ranges::any_of(arguments, [this](const Argument& each) { return reaches(each); });
  const ProgramSpec::Ref first = builder_.call(target, std::move(arguments), outputs);
  const auto program = builder_.build(first);
  std::vector<at::Tensor> values;
  for (const auto* part : {&parameters_, &inputs_, &constants_, &computed_})
    values.insert(values.end(), part->begin(), part->end());
  const size_t before = values.size();
  const DifferentiableKernels kernels(*program);
  // A program may replace an operator by several.
  for (; nodes_ < program->nodes().size(); ++nodes_)
    Program::call(program->nodes()[nodes_], inputs_.front(), values);
  computed_.insert(computed_.end(), values.begin() + static_cast<int64_t>(before), values.end());
  std::vector<Value> results;
  for (int64_t i = 0; i < outputs; ++i) {
    // What replaces an operator may give less: its first result.
    const auto place = static_cast<size_t>(program->output() + i);
    const at::Tensor data = place < values.size() ? values[place] : at::Tensor();
    results.push_back({{first.value + i}, data});
    if (reached) reached_.insert(first.value + i);
    results_.push_back(data);
    if (data.defined() && data.is_floating_point() && data.numel() > 0) keep(results.back());
  }
  return results;
}

Sketch::Value Sketch::first(const std::string& target, std::vector<Argument> arguments,
                            int64_t outputs) {
  const size_t before = pool_.size();
  const Value result = calls(target, std::move(arguments), outputs).front();
  pool_.erase(pool_.begin() + static_cast<int64_t>(before) + 1, pool_.end());
  return result;
}

Sketch::Value Sketch::call(const std::string& target, std::vector<Argument> arguments) {
  return calls(target, std::move(arguments), 1).front();
}

Sketch::Value Sketch::subject() { return chance(0.65) ? pool_.back() : pick(pool_); }

Sketch::Value Sketch::factor(const Shape& shape) {
  if (chance(0.4)) {
    std::vector<Value> fitting;
    for (const Value& value : pool_) {
      if (value.data.sizes() == at::IntArrayRef(shape)) fitting.push_back(value);
    }
    if (!fitting.empty()) return pick(fitting);
  }
  return chance(0.6) ? parameter(shape) : constant(normal(shape));
}

Sketch::Value Sketch::partner(const Value& x) {
  Shape shape = x.shape();
  switch (below(5)) {
    case 0:
      break;
    case 1:
      shape.clear();
      break;
    case 2:
      shape.erase(shape.begin(), shape.begin() + below(x.dim() + 1));
      break;
    case 3:
      for (int64_t& size : shape) {
        if (chance(0.5)) size = 1;
      }
      break;
    default:  // the larger of the two
      for (int64_t& size : shape) {
        if (size == 1 && chance(0.5)) size = 2;
      }
      if (x.dim() < 4 && chance(0.5)) shape.insert(shape.begin(), between(1, 2));
      break;
  }
  const Value other = factor(shape);
  return other.numel() <= kLargestPartner ? other : factor({});
}

Sketch::Value Sketch::ofRank(Value x, int64_t rank) {
  if (rank == 0) return call("aten::mean", {x.ref});
  while (x.dim() < rank)
    x = call("aten::unsqueeze", {x.ref, written(below(x.dim() + 1), x.dim() + 1)});
  if (x.dim() > rank) {
    const int64_t begin = below(rank);
    const int64_t end = begin + x.dim() - rank;
    x = call("aten::flatten.using_ints", {x.ref, written(begin, x.dim()), written(end, x.dim())});
  }
  return x;
}

Sketch::Value Sketch::positive(const Value& x) {
  const Value smooth =
      chance(0.5) ? call("aten::softplus", {x.ref}) : call("aten::square", {x.ref});
  return call("aten::add.Scalar", {smooth.ref, 0.5});
}

Sketch::Value Sketch::indices(const Shape& shape, int64_t limit) {
  at::Tensor drawn = at::empty(shape, at::kLong);
  for (int64_t i = 0; i < drawn.numel(); ++i) drawn.view({-1})[i] = below(limit);
  return constant(drawn);
}

Sketch::Value Sketch::bounded(const Value& x) {
  if (x.data.abs().max().item<double>() <= kLargestValue) return x;
  return chance(0.5) ? call("aten::tanh", {x.ref})
                     : call("aten::mul.Tensor", {x.ref, ProgramSpec::Float{0.02}});
}

bool Sketch::reaches(const Argument& argument) const {
  if (const auto* ref = std::get_if<ProgramSpec::Ref>(&argument))
    return reached_.contains(ref->value);
  const auto* refs = std::get_if<ProgramSpec::Refs>(&argument);
  return refs != nullptr && std::ranges::any_of(refs->values, [this](const auto& value) {
           return value && reached_.contains(*value);
         });
}

Point Sketch::finish() {
  std::vector<Value> reached;
  std::ranges::copy_if(pool_, std::back_inserter(reached),
                       [this](const Value& value) { return reached_.contains(value.ref.value); });
  const Value output = chance(0.9) ? reached.back() : pick(pool_);
  std::vector<at::Tensor> flat;
  for (const at::Tensor& each : parameters_) flat.push_back(each.reshape({-1}));
  // The first axis of an output is the batch: what has none is the same for every row.
  const int64_t rows = inputs_.front().size(0);
  const at::IntArrayRef sizes = output.data.sizes();
  ProgramSpec::Ref result = output.ref;
  if (sizes.empty() || sizes.front() != rows) {
    std::vector<double> shape(sizes.begin(), sizes.end());
    shape.insert(shape.begin(), static_cast<double>(rows));
    result =
        builder_.call("aten::expand", {builder_.call("aten::unsqueeze", {result, 0.0}), shape});
  }
  return {builder_.build(result), at::cat(flat), inputs_, constants_};
}

at::Tensor Sketch::normal(const Shape& shape) {
  return Random(random_()).normal(shape, 0, 1, at::kDouble);
}

void Sketch::keep(const Value& value) { pool_.push_back(value); }

}  // namespace tc::test
