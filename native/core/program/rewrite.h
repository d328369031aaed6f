#pragma once

#include <vector>

#include "core/program/program.h"

namespace tc {

/// The nodes with operators whose derivatives libtorch lacks, or gets wrong, replaced by others
/// that compute the same (seen with libtorch 2.13):
///
/// - batch norm by its running statistics, also inside `instance_norm`: a gradient of one row that
///   lies in memory like an image with channels last is misread. It is affine: (x − m) ⊙ s + b.
/// - `instance_norm` of its input's statistics, which is a batch norm of one row: `group_norm`.
/// - batch norm by the statistics of the batch, where it has no others to change: its rows depend
///   on one another, and each product sees that as of other operators.
/// - `group_norm` with a shift and no scale: has no backward pass.
/// - `cdist`, `pdist`: neither forward mode nor a second derivative. Where points coincide the
///   derivatives are zero, as PyTorch's gradient is.
/// - medians: misread tensors that are not contiguous.
/// - `copy`, which functional graphs have for assignments: not differentiable. What is copied, in
///   the shape and precision of what it replaces.
/// - `fill_diagonal_` and `embedding_renorm`, which changes in place become: other operators.
/// - `embedding_bag`: no second derivative.
/// - `polar`: its gradient by a negative modulus has the wrong sign.
/// - `view_as_complex`: needs an even place in memory.
/// - sparse gradients of `embedding` and `gather`: as if they were not asked for.
///
/// Values of nodes are numbered from `firstOutput`; `output` follows the renumbering.
std::vector<ProgramSpec::Node> rewritten(const std::vector<ProgramSpec::Node>& nodes,
                                         int64_t firstOutput, int64_t& output);

}  // namespace tc
