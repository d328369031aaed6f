#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>

#include "core/linearization/chunks.h"
#include "core/linearization/linearization.h"

namespace tc {

/// How a linearization over the whole batch is cut and kept.
struct ChunkOptions {
  Engine engine = Engine::kAuto;
  int64_t chunkSize = 0;     ///< rows at once; 0: as many as the memory budget and the work allow
  int64_t memoryBudget = 0;  ///< bytes kept between products; 0: half of what is free
  int64_t products = 8;      ///< how many products are expected
};

/// Bytes that may be kept at this point.
int64_t memoryBudget(const Point& point, const ChunkOptions& options);

/// Rows at once: what was asked for, or as many as fit the memory budget and, for any engine but
/// kFused, `rowsAtOnce` allows. `probe(rows)` linearizes
/// the first `rows` rows, to learn what they cost and whether every operator has the derivatives
/// that products need, and returns the bytes it keeps. Throws as `rowsAtOnce` and `probe` do.
int64_t chunkRows(const Point& point, const ChunkOptions& options,
                  const std::function<int64_t(int64_t rows)>& probe, const StopToken& stop);

/// y = f(θ, x) linearized at θ over the whole batch, in chunks of rows. A chunk's linearization is
/// kept while the memory budget lasts and made again in each product beyond it. May be shared by
/// threads: products are serialized.
class ChunkedLinearization {
 public:
  /// Throws Error ERR_UNSUPPORTED_OP (also where rows are cut apart that depend on one another),
  /// ERR_SHAPE_MISMATCH (an output whose first axis is not the batch), ABORTED.
  ChunkedLinearization(Point point, const ChunkOptions& options, const StopToken& stop);

  const Point& point() const { return point_; }
  int64_t parameters() const { return point_.params.numel(); }
  int64_t batch() const { return point_.batch(); }
  /// Throws as the function of that name in rows.h; looks once.
  void requireIndependentRows(const StopToken& stop) const;
  /// y, [N, …]
  const at::Tensor& output() const { return output_; }

  /// J v, of the shape of y.
  at::Tensor jvp(const at::Tensor& v, const StopToken& stop);
  /// Jᵀu, [P]
  at::Tensor vjp(const at::Tensor& u, const StopToken& stop);
  /// Jᵀ(J v), [P]
  at::Tensor matvec(const at::Tensor& v, const StopToken& stop);
  /// Jᵀ(J v) for each of k tangents, [k, P]
  at::Tensor matmat(const at::Tensor& vectors, const StopToken& stop);
  /// Writes the per-sample Jacobian of rows [begin, end), as Linearization's. Keeps nothing, and
  /// may run at the same time as products.
  void jacobian(int64_t begin, int64_t end, const at::Tensor& out, const StopToken& stop) const;

  /// diag(JᵀCJ), [P], as Linearization's, of a C that `factors` tells for the rows of the batch.
  std::optional<at::Tensor> diagonal(const RowFactorsOf& factors, const StopToken& stop);

  /// Which engine runs it: "fused" or "autograd".
  const char* engine() const { return engine_; }

  /// Calls `body(Linearization&, begin, end)` for each chunk of rows.
  template <typename Body>
  void forEach(const StopToken& stop, Body&& body) {
    if (chunks_) chunks_->forEach(stop, std::forward<Body>(body));
  }

  /// Bytes kept for later products.
  int64_t bytes() const;
  /// Chunks there are, and how many of them are kept.
  size_t size() const { return chunks_ ? chunks_->size() : 0; }
  size_t kept() const { return chunks_ ? chunks_->kept() : 0; }

 private:
  Point point_;
  Engine chosen_;
  at::Tensor output_;
  const char* engine_ = "autograd";
  mutable std::atomic<bool> independent_ = false;  ///< the rows, as was found
  std::unique_ptr<Chunks<Linearization>> chunks_;  ///< null for an empty batch
};

}  // namespace tc
