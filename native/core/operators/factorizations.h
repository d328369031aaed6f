#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

#include "core/runtime/stop.h"

// Factorizations by LAPACK, which may take seconds and cannot be interrupted.

namespace tc {

/// Eigenvalues, [..., n], in ascending order, and eigenvectors in columns, [..., n, n], of
/// symmetric matrices, of which the lower triangle is read.
std::pair<at::Tensor, at::Tensor> symmetricEigen(const at::Tensor& matrices, const StopToken& stop);

/// Q, [n, k], with orthonormal columns and R, [k, k], upper triangular, with QR = a, [n, k], n ≥ k.
std::pair<at::Tensor, at::Tensor> reducedQr(const at::Tensor& a, const StopToken& stop);

}  // namespace tc
