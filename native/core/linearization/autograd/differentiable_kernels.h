#pragma once

#include "core/program/program.h"

namespace tc {

/// While one exists, libtorch picks kernels that can be differentiated twice and in forward mode:
/// no fused scaled-dot-product attention (its backward has no derivative) and, for programs with
/// recurrent layers, no oneDNN or cuDNN (the same for theirs). Made around the forward pass; the
/// backward passes of the graph then follow by themselves.
///
/// These are settings of the whole process, so the first user sets them and the last one restores
/// what was there.
class DifferentiableKernels {
 public:
  explicit DifferentiableKernels(const Program& program);
  /// For calls of one operator.
  explicit DifferentiableKernels(const c10::OperatorHandle& op);
  ~DifferentiableKernels();
  DifferentiableKernels(const DifferentiableKernels&) = delete;
  DifferentiableKernels& operator=(const DifferentiableKernels&) = delete;

 private:
  void consider(const c10::OperatorHandle& op);
  void acquire() const;

  bool attention_ = false;
  bool recurrent_ = false;
};

}  // namespace tc
