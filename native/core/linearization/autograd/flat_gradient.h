#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <vector>

namespace tc {

/// The result of a backward pass as one flat vector. While one exists, functions of the graph that
/// run on its thread may write the cotangent of a whole parameter where it belongs in that vector,
/// which saves a copy.
class FlatGradient {
 public:
  /// `leaves` are the parameters, which lie one after the other in the vector.
  FlatGradient(const std::vector<at::Tensor>& leaves, int64_t length,
               const at::TensorOptions& options);
  ~FlatGradient();
  FlatGradient(const FlatGradient&) = delete;
  FlatGradient& operator=(const FlatGradient&) = delete;

  /// Memory for the cotangent of a leaf, of its shape: its place in the vector for the first that
  /// asks, memory of its own for others, and where no vector is being made.
  static at::Tensor memoryFor(const at::Tensor& leaf);

  /// The vector, [length], with `parts`, the cotangents of the leaves, where they are not yet; an
  /// undefined one is zero.
  at::Tensor filled(const std::vector<at::Tensor>& parts);

 private:
  struct Place {
    int64_t offset;
    int64_t length;
    bool taken;
  };

  at::Tensor vector_;
  std::map<const void*, Place> places_;  ///< by where the leaf begins
  std::vector<int64_t> lengths_;
  FlatGradient* outer_;
};

}  // namespace tc
