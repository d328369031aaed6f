#include "core/program/torchscript/tensors.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/view_as_real.h>
#include <torch/csrc/jit/api/module.h>

#include <map>
#include <optional>
#include <utility>

#include "core/program/slots.h"
#include "core/runtime/error.h"

namespace tc::torchscript {
namespace {

/// Throws unless the tensor is plain and lies inside its storage.
void check(const at::Tensor& tensor, const std::string& name) {
  if (tensor.layout() != at::kStrided || tensor.is_quantized() || !tensor.device().is_cpu())
    throw Error("ERR_UNSUPPORTED_OP", name + " is a sparse or quantized tensor");
  const at::ScalarType real = c10::toRealValueType(tensor.scalar_type());
  if ((tensor.is_floating_point() || tensor.is_complex()) && real != at::kFloat &&
      real != at::kDouble) {
    throw Error("ERR_UNSUPPORTED_OP", name + " has the precision " +
                                          at::toString(tensor.scalar_type()) +
                                          "; only float32 and float64 are supported");
  }
  if (!liesInside(tensor))
    throw Error("ERR_MODEL_LOAD", name + " lies outside the data of the file");
}

/// Complex numbers as pairs of their parts along one more axis, the last; others as they are.
at::Tensor asPairs(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.detach();
  return plain.is_complex() ? at::view_as_real(plain.resolve_conj()) : plain;
}

const void* memoryOf(const at::Tensor& tensor) {
  return tensor.numel() > 0 ? tensor.storage().data()
                            : static_cast<const void*>(tensor.unsafeGetTensorImpl());
}

}  // namespace

bool liesInside(const at::Tensor& tensor) {
  int64_t last = tensor.storage_offset();
  bool outside = last < 0;
  for (int64_t i = 0; i < tensor.dim() && tensor.numel() > 0; ++i) {
    int64_t extent = 0;
    outside = outside || tensor.size(i) < 0 || tensor.stride(i) < 0 ||
              __builtin_mul_overflow(tensor.size(i) - 1, tensor.stride(i), &extent) ||
              __builtin_add_overflow(last, extent, &last);
  }
  const auto available = tensor.storage().nbytes() / static_cast<size_t>(tensor.dtype().itemsize());
  return !outside && (tensor.numel() == 0 || static_cast<size_t>(last) < available);
}

Tensors::Identity Tensors::identityOf(const at::Tensor& tensor) {
  const int marks =
      (tensor.requires_grad() ? 1 : 0) + (tensor.is_conj() ? 2 : 0) + (tensor.is_neg() ? 4 : 0);
  return {memoryOf(tensor), tensor.storage_offset(), tensor.sizes().vec(), tensor.strides().vec(),
          marks};
}

void Tensors::alias(int64_t value, int64_t with) {
  const auto found = memories_.find(with);
  if (found == memories_.end()) return;
  const std::set<const void*> memories = found->second;
  memories_[value].insert(memories.begin(), memories.end());
}

void Tensors::make(const at::Tensor& tensor) { made_.insert(memoryOf(tensor)); }

void Tensors::change(int64_t value) {
  if (const auto found = memories_.find(value); found != memories_.end())
    changed_.insert(found->second.begin(), found->second.end());
}

bool Tensors::isChanged(const at::Tensor& tensor) const {
  return changed_.contains(memoryOf(tensor));
}

Tensors::Tensors(const torch::jit::Module& module, std::vector<ProgramSpec::Port> inputs)
    : inputs_(std::move(inputs)) {
  for (const auto& [name, tensor] : module.named_parameters()) {
    if (!tensor.requires_grad()) {
      frozen_.push_back(name);
      continue;
    }
    check(tensor, "the parameter " + name);
    const at::Tensor pairs = asPairs(tensor);
    if (!values_.empty() && pairs.scalar_type() != precision_) {
      throw Error("ERR_UNSUPPORTED_OP", "the parameters mix the precisions float32 and float64");
    }
    precision_ = pairs.scalar_type();
    const auto value = static_cast<int64_t>(values_.size());
    if (!known_.emplace(identityOf(tensor), value).second) continue;
    views_[std::get<0>(identityOf(tensor))].push_back(value);
    parameters_.push_back({name, pairs.sizes().vec()});
    values_.push_back(pairs);
  }
}

int64_t Tensors::firstOutput() const {
  return static_cast<int64_t>(values_.size() + inputs_.size());
}

at::Tensor Tensors::flatParameters() const {
  std::vector<at::Tensor> flat;
  flat.reserve(values_.size());
  for (const at::Tensor& value : values_) flat.push_back(value.reshape({-1}));
  return flat.empty() ? at::empty({0}, precision_) : at::cat(flat);
}

int64_t Tensors::valueOf(const at::Tensor& tensor, std::vector<ProgramSpec::Node>& nodes,
                         int64_t next) {
  if (!tensor.defined()) throw Error("ERR_MODEL_LOAD", "the model has a tensor without content");
  check(tensor, "a tensor of the model");
  const auto [known, isNew] =
      known_.emplace(identityOf(tensor), kConstants + static_cast<int64_t>(constants_.size()));
  if (isNew) {
    views_[std::get<0>(known->first)].push_back(known->second);
    kept_.push_back(tensor);
  }
  const auto found = [&](int64_t value) {
    memories_[value].insert(memoryOf(tensor));
    return value;
  };
  const at::ScalarType type = tensor.scalar_type();
  if (tensor.is_complex()) {
    if (isNew) constants_.push_back(asPairs(tensor).contiguous());
    nodes.push_back({"aten::view_as_complex", {ProgramSpec::Ref{known->second}}, {}, 1});
    return found(next);
  }
  if (!isNew) return found(known->second);
  const bool copied = made_.contains(memoryOf(tensor));
  const bool direct = tensor.is_floating_point() || type == at::kInt || type == at::kLong;
  constants_.push_back(tensor.detach().to(direct ? type : at::kInt).contiguous());
  if (!direct) {
    nodes.push_back(
        {"aten::to.dtype", {ProgramSpec::Ref{known->second}, static_cast<double>(type)}, {}, 1});
    known->second = next++;
  }
  if (copied) {
    nodes.push_back({"aten::clone", {ProgramSpec::Ref{known->second}}, {}, 1});
    known->second = next++;
  }
  return found(known->second);
}

std::optional<at::ScalarType> Tensors::constantPrecision(int64_t value) const {
  if (value < kConstants) return std::nullopt;
  const at::Tensor& constant = constants_[static_cast<size_t>(value - kConstants)];
  if (!constant.is_floating_point()) return std::nullopt;
  return constant.scalar_type();
}

ProgramSpec Tensors::finish(std::vector<ProgramSpec::Node> nodes, int64_t output) const {
  const int64_t first = firstOutput();
  const auto count = static_cast<int64_t>(constants_.size());
  const auto final = [&](int64_t& value) {
    if (value >= kConstants) {
      value += first - kConstants;
    } else if (value >= first) {
      value += count;
    }
  };
  for (auto& node : nodes) renumber(node, final);
  final(output);
  ProgramSpec spec;
  spec.parameters = parameters_;
  spec.inputs = inputs_;
  spec.constants = constants_;
  for (const auto& [memory, views] : views_) {
    if (views.size() < 2) continue;
    spec.sharing.push_back(views);
    for (int64_t& value : spec.sharing.back()) final(value);
  }
  spec.nodes = std::move(nodes);
  spec.output = output;
  return spec;
}

}  // namespace tc::torchscript
