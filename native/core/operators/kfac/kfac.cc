#include "core/operators/kfac/kfac.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <utility>

#include "core/linearization/rows.h"
#include "core/operators/request.h"
#include "core/runtime/error.h"

namespace tc {
namespace {

/// Elements that are scaled between two looks at the stop token.
constexpr int64_t kScaledAtOnce = int64_t{1} << 24;

/// A factor of sums, which are zero where nothing was added.
Factor factorOf(const at::Tensor& sum, int64_t groups, int64_t size,
                const at::TensorOptions& options) {
  if (!sum.defined()) return Factor::diagonal(at::zeros({groups, size}, options));
  return sum.dim() == 2 ? Factor::diagonal(sum) : Factor::full(sum);
}

/// Divides a sum by its weight, in place: factors may take most of the memory.
void takeMean(const FactorSums& sums, const StopToken& stop) {
  if (!sums.input.defined() || sums.weight <= 0) return;
  const at::Tensor elements = sums.input.view({-1});
  forEachChunk(elements.numel(), kScaledAtOnce, stop, [&](int64_t begin, int64_t end) {
    elements.narrow(0, begin, end - begin).div_(sums.weight);
  });
}

/// The factors of block i.
KroneckerBlock factored(const Point& point, const Plan& plan, const FactorSums& sums, size_t i) {
  const Block& block = plan.blocks[i];
  const at::TensorOptions options = point.params.options();
  if (!block.layer) {
    const Factor one = Factor::diagonal(at::ones({block.groups, 1}, options));
    const bool wide = block.cols > 1;
    return {block, one, factorOf(sums.output, block.groups, block.cols, options),
            /*meanIsLeft=*/wide, /*weight=*/0};
  }
  const bool inputFirst = plan.layers.layers[i].uses.front().inputFirst;
  const auto [in, out] =
      inputFirst ? std::pair(block.rows, block.cols) : std::pair(block.cols, block.rows);
  return {block, factorOf(sums.input, block.groups, in, options),
          factorOf(sums.output, block.groups, out, options), inputFirst, sums.weight};
}

/// Of eigenvalues [g, r, c] in a basis that is arbitrary where `isNull` [g, r] of their rows: there
/// the mean, which is that of every basis.
at::Tensor meanOverRows(const at::Tensor& values, const at::Tensor& isNull) {
  const at::Tensor weights = isNull.to(values.scalar_type()).unsqueeze(1);
  const at::Tensor counts = weights.sum(2, /*keepdim=*/true).clamp_min(1);
  return at::where(isNull.unsqueeze(2), at::bmm(weights, values) / counts, values);
}

/// The diagonal of QᵀFQ where Q are eigenvectors of factors with the eigenvalues `ofFactors`: as
/// those of a null space may be any, each value is the mean over it.
at::Tensor corrected(const EigenBlock& each, const at::Tensor& ofFactors,
                     const at::Tensor& diagonal) {
  at::Tensor values = diagonal;
  const at::Tensor isZero = ofFactors == 0;
  if (each.left.defined()) values = meanOverRows(values, isZero.all(2));
  if (each.right.defined())
    values = meanOverRows(values.transpose(1, 2), isZero.all(1)).transpose(1, 2);
  return values.contiguous();
}

}  // namespace

KroneckerPtr kfac(const Point& point, const Plan& plan, const std::vector<FactorSums>& sums,
                  const StopToken& stop) {
  std::vector<KroneckerBlock> blocks;
  for (size_t i = 0; i < plan.blocks.size(); ++i) {
    takeMean(sums[i], stop);
    blocks.push_back(factored(point, plan, sums[i], i));
  }
  return kroneckerOperator(std::move(blocks), point.params.numel(), point.params.options());
}

KroneckerPtr ekfac(const KroneckerOperator& basis, bool layersOnly, const Point& point,
                   const Plan& plan, const OutputGradients& gradients, int64_t chunkSize,
                   const StopToken& stop) {
  std::vector<EigenBlock> blocks = basis.eigenBlocks(stop);
  std::vector<Basis> bases;
  bases.reserve(blocks.size());
  for (const EigenBlock& each : blocks) bases.push_back({each.left, each.right});
  const auto diagonals = diagonalsIn(bases, point, plan, gradients, chunkSize, stop);
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i < diagonals.size()) {
      blocks[i].singular = blocks[i].values == 0;
      blocks[i].values = corrected(blocks[i], blocks[i].values, diagonals[i]);
    } else if (layersOnly) {
      blocks[i].values = at::zeros_like(blocks[i].values);
    }
  }
  return eigenOperator(std::move(blocks), point.params.numel(), point.params.options());
}

KroneckerPtr withoutLayers(const KroneckerOperator& basis, const StopToken& stop) {
  std::vector<EigenBlock> blocks = basis.eigenBlocks(stop);
  for (EigenBlock& each : blocks) {
    if (!each.block.layer) continue;
    each.singular = each.values == 0;
    each.values = at::zeros_like(each.values);
  }
  return eigenOperator(std::move(blocks), basis.rows(), basis.options());
}

namespace {

Sharing findSharing(const std::string& name) {
  if (name == "expand") return Sharing::kExpand;
  if (name == "reduce") return Sharing::kReduce;
  throw Error("ERR_INVALID_ARGUMENT",
              "approximation should be 'expand' or 'reduce', got '" + name + "'");
}

Others findOthers(const std::string& name) {
  if (name == "refuse") return Others::kRefuse;
  if (name == "diagonal") return Others::kDiagonal;
  if (name == "block") return Others::kBlock;
  throw Error("ERR_INVALID_ARGUMENT",
              "others should be 'refuse', 'diagonal' or 'block', got '" + name + "'");
}

OutputGradients gradientsOf(const OperatorRequest& request) {
  const Arguments& given = request.arguments;
  Objective objective = request.objective();
  objective.scale *= given.number("share", 1);  // of these rows in the mean over all batches
  return OutputGradients(findFisherKind(given.text("fisher", "type2")), std::move(objective),
                         request.rowWeights(), request.problem.per,
                         Draws(given.seed("seed"), given.integer("firstRow", 0)),
                         given.integer("mcSamples", 1));
}

/// Throws Error ERR_UNSUPPORTED_OP where the rows cannot be told apart.
void requireRows(const Point& point, const StopToken& stop) {
  if (unitRows(point) > 1) {
    throw Error("ERR_UNSUPPORTED_OP",
                "Kronecker factors need rows one by one, and the model was exported for " +
                    std::to_string(unitRows(point)) +
                    " rows at a time; export it with a dynamic batch: torch.export.export(model, "
                    "(x,), dynamic_shapes=({0: torch.export.Dim('batch')},))");
  }
  requireIndependentRows(point, stop);
}

/// What both kinds are made of, checked before anything large is computed.
struct Parts {
  Plan plan;
  OutputGradients gradients;
};

Parts partsOf(const OperatorRequest& request, const StopToken& stop) {
  const Arguments& given = request.arguments;
  OutputGradients gradients = gradientsOf(request);
  Plan plan = planOf(*request.point.program, findSharing(given.text("approximation", "expand")),
                     findOthers(given.text("others", "refuse")));
  requireRows(request.point, stop);
  return {std::move(plan), std::move(gradients)};
}

KroneckerPtr kfacOf(const OperatorRequest& request, const Parts& parts, const StopToken& stop) {
  const auto sums =
      factorSums(request.point, parts.plan, parts.gradients, request.options.chunkSize, stop);
  return kfac(request.point, parts.plan, sums, stop);
}

OperatorPtr makeKfac(const OperatorRequest& request, const StopToken& stop) {
  return kfacOf(request, partsOf(request, stop), stop);
}

/// With `basis`, a part of the data for the basis that all of them have.
OperatorPtr makeEkfac(const OperatorRequest& request, const StopToken& stop) {
  const Parts parts = partsOf(request, stop);
  const OperatorPtr given = request.arguments.op("basis");
  const KroneckerPtr basis = given ? std::dynamic_pointer_cast<const KroneckerOperator>(given)
                                   : kfacOf(request, parts, stop);
  if (!basis) throw Error("ERR_INVALID_ARGUMENT", "basis should be a kfac");
  return ekfac(*basis, /*layersOnly=*/given != nullptr, request.point, parts.plan, parts.gradients,
               request.options.chunkSize, stop);
}

OperatorKind factored(const char* label, decltype(OperatorKind::make) made) {
  OperatorKind kind{label, made};
  kind.byAutograd = true;
  return kind;
}

const Rows<OperatorKind> kRows(operatorKinds(),
                               {{"kfac", factored("torch_curvature::kfac", makeKfac)},
                                {"ekfac", factored("torch_curvature::ekfac", makeEkfac)}});

}  // namespace

}  // namespace tc
