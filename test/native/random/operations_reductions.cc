// Operators that make one number of many: sums, extremes, norms, scans and pools.
#include "operations.h"

namespace tc::test {
namespace {

/// f(x, [axis], keep the axis)
Operation overAxes(const std::string& target) {
  return {target, [=](Sketch& s, Value x) -> Result {
            if (x.dim() < 1) return {};
            List axes{s.written(s.axis(x), x.dim())};
            if (x.dim() > 1 && s.chance(0.3)) axes = {0, static_cast<double>(x.dim() - 1)};
            return s.call(target, {x.ref, axes, s.chance(0.3)});
          }};
}

/// f(x, axis), with what it takes after that; the first of its results.
Operation overAxis(const std::string& target, const std::vector<Argument>& more = {},
                   int64_t outputs = 1) {
  return {target, [=](Sketch& s, Value x) -> Result {
            if (x.dim() < 1) return {};
            std::vector<Argument> arguments{x.ref, s.written(s.axis(x), x.dim())};
            arguments.insert(arguments.end(), more.begin(), more.end());
            return s.calls(target, arguments, outputs).front();
          }};
}

Operation overAll(const std::string& target) {
  return {target, [=](Sketch& s, Value x) -> Result { return s.call(target, {x.ref}); }};
}

/// Windows of two over the last `dims` axes.
Operation pool(const std::string& target, int64_t dims, int64_t outputs = 1) {
  return {target, [=](Sketch& s, Value x) -> Result {
            x = s.ofRank(x, dims + 2);
            for (int64_t i = 2; i < x.dim(); ++i) {
              if (x.size(i) < 2) return {};
            }
            const List twos(static_cast<size_t>(dims), 2);
            return s
                .calls(target, {x.ref, twos, s.chance(0.5) ? twos : List(twos.size(), 1)}, outputs)
                .front();
          }};
}

}  // namespace

const std::vector<Operation>& reductionOperations() {
  static const std::vector<Operation> all = {
      overAxes("aten::sum.dim_IntList"),
      overAxes("aten::mean.dim"),
      overAxes("aten::amax"),
      overAxes("aten::amin"),
      overAxes("aten::logsumexp"),
      overAll("aten::sum"),
      overAll("aten::mean"),
      overAll("aten::max"),
      overAxis("aten::max.dim", {false}, 2),
      overAxis("aten::min.dim", {true}, 2),
      {"aten::median.dim",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         // PyTorch's kernel for the CPU misreads expanded tensors (seen with 2.13).
         x = s.call("aten::contiguous", {x.ref});
         return s.calls("aten::median.dim", {x.ref, s.written(s.axis(x), x.dim())}, 2).front();
       }},
      overAxis("aten::sort", {true}, 2),
      overAxis("aten::prod.dim_int", {true}),
      overAxis("aten::cumsum"),
      overAxis("aten::cumprod"),
      overAxis("aten::logcumsumexp"),
      {"topk",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         const int64_t axis = s.axis(x);
         const auto count = static_cast<double>(s.between(1, x.size(axis)));
         return s.calls("aten::topk", {x.ref, count, static_cast<double>(axis)}, 2).front();
       }},
      {"var",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         return s.call("aten::var.correction",
                       {x.ref, List{static_cast<double>(s.axis(x))}, 0.0, s.chance(0.5)});
       }},
      {"linalg_vector_norm",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         x = s.positive(x);
         return s.call("aten::linalg_vector_norm",
                       {x.ref, 2.0, List{static_cast<double>(s.axis(x))}, s.chance(0.5)});
       }},
      pool("aten::max_pool1d", 1),
      pool("aten::max_pool2d", 2),
      pool("aten::max_pool2d_with_indices", 2, 2),
      pool("aten::avg_pool1d", 1),
      pool("aten::avg_pool2d", 2),
      {"adaptive_avg_pool2d",
       [](Sketch& s, Value x) -> Result {
         return s.call("aten::adaptive_avg_pool2d", {s.ofRank(x, 4).ref, List{2, 1}});
       }},
      {"upsample_nearest2d",
       [](Sketch& s, Value x) -> Result {
         x = s.ofRank(x, 4);
         if (x.numel() > 60) return {};
         return s.call("aten::upsample_nearest2d.vec", {x.ref, kNone, List{2, 1}});
       }},
      {"upsample_bilinear2d",
       [](Sketch& s, Value x) -> Result {
         x = s.ofRank(x, 4);
         if (x.numel() > 40) return {};
         return s.call("aten::upsample_bilinear2d.vec", {x.ref, List{3, 3}, false, kNone});
       }},
  };
  return all;
}

}  // namespace tc::test
