#include "core/linearization/autograd/tangent_program.h"
#include "core/runtime/reason.h"

#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <string>

#include "core/program/program.h"

#include "core/runtime/lazy.h"
#include "core/runtime/stop.h"

namespace tc {
namespace {

/// The tensors of an argument as constants.
c10::IValue detached(const c10::IValue& value) {
  if (value.isTensor()) return value.toTensor().detach();
  if (!value.isTensorList()) return value;
  c10::List<at::Tensor> list;
  for (const at::Tensor& each : value.toTensorVector()) list.push_back(each.detach());
  return list;
}

/// Runs `body`, which computes derivatives of an operator that has run before: whatever it throws
/// then says that libtorch has no formula for this call, in one of many words, most of them plain
/// c10::Error. Not so for want of memory and for our own errors.
template <typename Body>
auto inForwardMode(const std::string& op, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::NotImplementedError&) {
    throw;
  } catch (const c10::Error& error) {
    C10_THROW_ERROR(NotImplementedError, op + " in forward mode: " + reasonOf(error));
  }
}

bool reached(const at::Tensor& tensor) { return tensor.defined() && tensor.requires_grad(); }

}  // namespace

std::optional<TangentStep> TangentStep::at(const Program::Node& node,
                                           const torch::jit::Stack& arguments,
                                           const std::vector<at::Tensor>& values,
                                           Pushforward known) {
  const auto results = values.end() - node.outputs;
  if (std::none_of(results, values.end(), reached)) return {};
  const c10::NoGradGuard noGradients;
  TangentStep step;
  step.to_ = static_cast<size_t>(results - values.begin());
  step.results_ = static_cast<size_t>(node.outputs);
  step.lastUses_ = node.lastUses;
  Call call{node.op, {}, {}, {}};
  std::transform(results, values.end(), std::back_inserter(call.results),
                 [](const at::Tensor& each) { return each.defined() ? each.detach() : each; });
  const auto activate = [&](const at::Tensor& tensor, size_t argument, size_t element,
                            int64_t value) {
    if (!reached(tensor)) return;
    call.active.push_back({argument, element, tensor.detach()});
    step.from_.push_back({value, tensor.sizes().vec(), tensor.options()});
  };
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (const auto* ref = std::get_if<ProgramSpec::Ref>(&node.slots[i]))
      activate(arguments[i].toTensor(), i, 0, ref->value);
    if (const auto* refs = std::get_if<ProgramSpec::Refs>(&node.slots[i])) {
      const auto list = arguments[i].toListRef();
      for (size_t k = 0; k < list.size(); ++k) {
        if (const auto& value = refs->values[k]) activate(list[k].toTensor(), i, k, *value);
      }
    }
    call.arguments.push_back(detached(arguments[i]));
  }
  step.pushforward_ =
      known ? std::move(known)
            : inForwardMode(node.op.schema().name(), [&] { return pushforward(call); });
  step.op_ = &node.op.schema().name();
  return step;
}

void TangentStep::run(std::vector<at::Tensor>& tangents, bool ranBefore) const {
  const c10::NoGradGuard noGradients;
  if (tangents.size() < to_ + results_) tangents.resize(to_ + results_);
  Tangents arguments;
  arguments.reserve(from_.size());
  for (const From& from : from_) {
    const at::Tensor& tangent = tangents[static_cast<size_t>(from.value)];
    arguments.push_back(tangent.defined() ? tangent
                                          : at::zeros({}, from.options).expand(from.sizes));
  }
  for (const int64_t value : lastUses_) {
    if (static_cast<size_t>(value) < tangents.size()) tangents[static_cast<size_t>(value)].reset();
  }
  Tangents results = ranBefore ? pushforward_(arguments)
                               : inForwardMode(*op_, [&] { return pushforward_(arguments); });
  for (size_t i = 0; i < std::min(results.size(), results_); ++i)
    tangents[to_ + i] = asStored(std::move(results[i]));
}

void TangentProgram::record(const Program::Node& node, const torch::jit::Stack& arguments,
                            const std::vector<at::Tensor>& values, Pushforward known) {
  if (auto step = TangentStep::at(node, arguments, values, std::move(known)))
    steps_.push_back(std::move(*step));
}

at::Tensor TangentProgram::push(std::vector<at::Tensor> tangents, int64_t output) {
  for (const TangentStep& step : steps_) {
    StopScope::poll();
    step.run(tangents, ran_);
  }
  ran_ = true;
  const auto index = static_cast<size_t>(output);
  return index < tangents.size() ? tangents[index] : at::Tensor();
}

}  // namespace tc
