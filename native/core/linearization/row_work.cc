#include "core/linearization/row_work.h"

#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <string_view>
#include <vector>

#include "core/linearization/batch_axes.h"
#include "core/linearization/fused/engine.h"
#include "core/linearization/rows.h"
#include "core/profiler/stage.h"
#include "core/runtime/stop.h"

namespace tc {
namespace {

/// The rows that are tried; from the next number on it is worth it.
constexpr int64_t kFew = 5;
constexpr int64_t kMore = 7;
/// Floating-point operations in float32 that a core does in a few hundredths of a second.
constexpr double kOperatorWork = 5e8;
/// How much more other devices do than a core.
constexpr double kOtherDevices = 200;
/// What an element costs that an operator reads or writes, in such operations.
constexpr double kElement = 16;
/// What the operators of a chunk may write.
constexpr double kChunkBytes = 1 << 30;
/// Floating-point operations of a chunk for each parameter, below which adding up gradients counts.
constexpr double kWorkOfParameter = 32;
/// Floating-point operations of a core's own rows, below which waking it counts; and for each
/// parameter, below which its own gradients and sums of them do.
constexpr double kWorkOfCore = 1.5e6;
constexpr double kCoreWorkOfParameter = 256;
/// Rows of a core: `squeeze()` drops the axis of a single one.
constexpr int64_t kRowsOfCore = 2;

struct RowWork {
  double largest = 0;   ///< operations of the most expensive operator
  double total = 0;     ///< and of all of them
  double elements = 0;  ///< that they write
  bool separate = false;
};

double numbers(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<double>(tensor.numel()) : 0;
}

/// Floating-point operations of an operator's products; the rest goes by elements.
double productsOf(std::string_view name, const torch::jit::Stack& arguments,
                  const at::Tensor& result) {
  const auto tensor = [&](size_t i) {
    return i < arguments.size() && arguments[i].isTensor() ? arguments[i].toTensor() : at::Tensor();
  };
  const auto last = [&](size_t i) {
    const at::Tensor operand = tensor(i);
    return operand.defined() && operand.dim() > 0 ? static_cast<double>(operand.size(-1)) : 0;
  };
  if (name == "aten::linear" || name == "aten::mm" || name == "aten::bmm" ||
      name == "aten::matmul" || name == "aten::mv")
    return 2 * numbers(result) * last(0);
  if (name == "aten::addmm" || name == "aten::baddbmm") return 2 * numbers(result) * last(1);
  if (name.find("conv") != std::string_view::npos) {
    const at::Tensor weight = tensor(1);
    if (!weight.defined() || weight.numel() == 0) return 0;
    // Transposed or not: at most one position of the kernel for each of the larger image.
    const double channel = numbers(weight) / static_cast<double>(weight.size(0));
    return 2 * std::max(numbers(result), numbers(tensor(0))) * channel;
  }
  if (name.find("scaled_dot_product") != std::string_view::npos && tensor(1).defined() &&
      tensor(1).dim() > 1)
    return 4 * numbers(tensor(0)) * static_cast<double>(tensor(1).size(-2));
  if (name == "aten::lstm" || name == "aten::gru" || name.starts_with("aten::rnn_")) {
    double weights = 0;
    for (const c10::IValue& argument : arguments) {
      if (!argument.isTensorList()) continue;
      for (const at::Tensor& each : argument.toTensorVector()) {
        if (each.dim() == 2) weights += numbers(each);
      }
    }
    return 2 * weights * numbers(tensor(0)) / std::max(1.0, last(0));
  }
  return 0;
}

/// Runs some rows; adds up what they cost and says whether they stay apart.
bool observe(const Point& point, int64_t rows, RowWork& work) {
  const c10::NoGradGuard noGradients;
  BatchAxes axes(point, rows);
  const at::Tensor y = point.program->run(
      point.program->unflatten(point.params.detach()), tc::rows(point, 0, rows), point.constants,
      [&](const Program::Node& node, const torch::jit::Stack& arguments,
          const std::vector<at::Tensor>& values) {
        axes.observe(node, arguments, values);
        double elements = 0;
        for (auto result = values.end() - node.outputs; result != values.end(); ++result)
          elements += numbers(*result);
        const double here = kElement * elements + productsOf(node.op.schema().name(), arguments,
                                                             *(values.end() - node.outputs));
        const auto each = static_cast<double>(rows);
        work.largest = std::max(work.largest, here / each);
        work.total += here / each;
        work.elements += elements / each;
      });
  requireBatchFirst(y, rows);
  return axes.leads(point.program->output());
}

RowWork find(const Point& point) {
  // The operators of these few rows are none of the product's: a profile shows one stage.
  const profiling::Stage stage("torch_curvature::row_work");
  const at::DisableRecordFunctionGuard unseen;
  try {
    RowWork work;
    const bool separate = observe(point, kMore, work);
    RowWork fewer;
    work.separate = observe(point, kFew, fewer) && separate;
    return work;
  } catch (const std::exception&) {
    StopScope::poll();
    return {};  // a program of all its rows together, or one that does not run at all
  }
}

RowWork workOf(const Point& point) {
  if (point.batch() <= kMore || fixedBatch(point) > 0) return {};
  Findings::Sizes sizes;
  for (size_t i = 0; i < point.inputs.size(); ++i) {
    const at::IntArrayRef all = point.inputs[i].sizes();
    sizes.insert(sizes.end(), all.begin() + (point.hasRows(i) ? 1 : 0), all.end());
    sizes.push_back(point.hasRows(i) ? -1 : -2);
  }
  return *point.program->findings().get<RowWork>(sizes, [&] { return find(point); });
}

}  // namespace

int64_t rowsWithinWork(const Point& point) {
  const RowWork work = workOf(point);
  if (work.total == 0) return std::max<int64_t>(1, point.batch());
  const bool onCpu = point.params.device().is_cpu();
  const auto itemSize = static_cast<double>(point.params.element_size());
  const double power = onCpu ? at::get_num_threads() : kOtherDevices;
  const double byWork = kOperatorWork * power * 4 / itemSize / work.largest;
  const double byMemory = kChunkBytes / (itemSize * work.elements);
  const double paying = kWorkOfParameter * static_cast<double>(point.params.numel()) / work.total;
  const double rows = std::min(std::max(byWork, paying), byMemory);
  return std::clamp<int64_t>(static_cast<int64_t>(std::min(rows, 1e15)), 1, point.batch());
}

int64_t coresByRows(const Point& point) {
  const int64_t cores = at::get_num_threads();
  if (cores == 1 || !point.params.is_cpu() || at::in_parallel_region() ||
      point.batch() < cores * kRowsOfCore)
    return 1;
  const RowWork work = workOf(point);
  const double ofCore =
      work.total * static_cast<double>(point.batch()) / static_cast<double>(cores);
  const auto parameters = static_cast<double>(point.params.numel());
  const double gradients = parameters * static_cast<double>(point.params.element_size() * cores);
  const bool pays = work.separate && ofCore >= kWorkOfCore &&
                    ofCore >= kCoreWorkOfParameter * parameters && gradients <= kChunkBytes;
  return pays ? cores : 1;
}

bool hasSeparateRows(const Point& point) { return isChain(point) || workOf(point).separate; }

}  // namespace tc
