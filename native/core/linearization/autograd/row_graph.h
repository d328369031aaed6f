#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <cstddef>
#include <optional>
#include <vector>

#include "core/linearization/autograd/transform_level.h"
#include "core/program/point.h"

namespace tc {

/// The program run over some rows, each of them for itself, with its graph: gradients of every row
/// by what a node gives, and by parameters. Rows are kept apart by vmap, whichever axes the program
/// makes of the batch. To be used on the thread that made it, and within a StopScope.
class RowGraph {
 public:
  /// A node whose argument is kept, and by whose first result gradients are taken.
  struct Tap {
    size_t node;      ///< its place in the program
    size_t argument;  ///< its place in the operator's schema
  };
  /// What gradients are taken by: the results of taps, then parameters by their numbers.
  struct Sources {
    std::vector<Tap> taps;
    std::vector<size_t> parameters;
  };

  /// Of rows [begin, end). With `together` by one vmap over all of them, which throws c10::Error
  /// for an operator that vmap does not know; without, of a single row.
  RowGraph(const Point& point, int64_t begin, int64_t end, const Sources& sources, bool together);

  /// The argument of a tap, [n, …] with the shape it has for a batch of one row.
  const at::Tensor& argument(size_t tap) const { return arguments_[tap]; }
  /// For each row the gradient of ⟨y, cotangent⟩, with `cotangent` of the shape of the rows'
  /// outputs, [n, …]: one tensor [n, …] for each source; undefined where none of the row's outputs
  /// depends on it.
  std::vector<at::Tensor> gradients(const at::Tensor& cotangent);

 private:
  at::Tensor plain(const at::Tensor& value) const;

  int64_t rows_;
  std::optional<TransformLevel> vmap_;
  std::optional<TransformLevel> grad_;
  std::vector<at::Tensor> sources_;
  at::Tensor y_;
  std::vector<at::Tensor> arguments_;
  /// The levels stay while this lives; until it computes with them again, they should not take what
  /// others compute for a part of the transform.
  std::optional<c10::impl::ExcludeDispatchKeyGuard> outside_;
};

}  // namespace tc
