// Operators that are linear in each of several values.
#include "operations.h"

namespace tc::test {
namespace {

constexpr int64_t kMostNumbers = 200;

/// A term of a sum: of the shape, or one that broadcasts to it.
Value term(Sketch& s, Sketch::Shape shape) {
  const int64_t kept = s.below(static_cast<int64_t>(shape.size()) + 1);
  if (s.chance(0.5)) shape.erase(shape.begin(), shape.begin() + kept);
  return s.factor(shape);
}

/// One time in two a value of the shape, else nothing.
Argument maybe(Sketch& s, const Sketch::Shape& shape) {
  if (s.chance(0.4)) return kNone;
  return s.factor(shape).ref;
}

bool large(std::initializer_list<int64_t> sizes) {
  int64_t product = 1;
  for (const int64_t size : sizes) product *= size;
  return product > kMostNumbers;
}

/// `x` as [groups · a few, …]: channels for a convolution.
Operation convolution(int64_t dims) {
  const std::string target = "aten::conv" + std::to_string(dims) + "d";
  return {target, [=](Sketch& s, Value x) -> Result {
            x = s.ofRank(x, dims + 2);
            const int64_t groups = x.size(1) % 2 == 0 && s.chance(0.4) ? 2 : 1;
            const int64_t out = groups * s.between(1, 2);
            Sketch::Shape kernel = {out, x.size(1) / groups};
            for (int64_t i = 0; i < dims; ++i) kernel.push_back(s.between(1, 3));
            if (large({x.numel(), out})) return {};
            const Value weight = s.factor(kernel);
            const List ones(static_cast<size_t>(dims), 1);
            const List twos(static_cast<size_t>(dims), 2);
            return s.call(target, {x.ref, weight.ref, maybe(s, {out}), s.chance(0.3) ? twos : ones,
                                   twos, s.chance(0.2) ? twos : ones, static_cast<double>(groups)});
          }};
}

std::vector<Operation> matrices() {
  return {
      {"linear",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         const int64_t out = s.between(1, 5);
         const Value weight = s.factor({out, x.size(-1)});
         const Argument bias = maybe(s, {out});
         return s.call("aten::linear", {x.ref, weight.ref, bias});
       }},
      {"linear, x as the weight",
       [](Sketch& s, Value x) -> Result {
         const Value weight = s.ofRank(x, 2);
         const int64_t rows = s.between(1, 4);
         if (large({rows, weight.size(0)})) return {};
         return s.call("aten::linear", {s.factor({rows, weight.size(1)}).ref, weight.ref,
                                        maybe(s, {weight.size(0)})});
       }},
      {"addmm",
       [](Sketch& s, Value x) -> Result {
         x = s.ofRank(x, 2);
         const int64_t out = s.between(1, 5);
         if (large({x.size(0), out})) return {};
         const Value sum = term(s, {x.size(0), out});
         const Value y = s.factor({x.size(1), out});
         std::vector<Argument> arguments{sum.ref, x.ref, y.ref};
         if (s.chance(0.4)) arguments.insert(arguments.end(), {s.chance(0.3) ? 0.0 : 0.5, 1.7});
         return s.call("aten::addmm", arguments);
       }},
      {"mm",
       [](Sketch& s, Value x) -> Result {
         x = s.ofRank(x, 2);
         if (s.chance(0.3) && !large({x.size(1), x.size(1)}))
           return s.call("aten::mm", {s.call("aten::t", {x.ref}).ref, x.ref});
         const int64_t out = s.between(1, 4);
         if (s.chance(0.5)) return s.call("aten::mm", {s.factor({out, x.size(0)}).ref, x.ref});
         return s.call("aten::mm", {x.ref, s.factor({x.size(1), out}).ref});
       }},
      {"matmul",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         Sketch::Shape shape;
         switch (s.below(4)) {
           case 0:
             shape = {x.size(-1)};
             break;
           case 1:
             shape = {x.size(-1), s.between(1, 3)};
             break;
           case 2:
             shape = {2, x.size(-1), s.between(1, 3)};
             if (x.dim() > 2) shape.front() = 1;
             break;
           default: {
             if (x.dim() < 2) return {};
             return s.call("aten::matmul", {s.factor({s.between(1, 3), x.size(-2)}).ref, x.ref});
           }
         }
         return s.call("aten::matmul", {x.ref, s.factor(shape).ref});
       }},
      {"bmm",
       [](Sketch& s, Value x) -> Result {
         x = s.ofRank(x, 3);
         const int64_t out = s.between(1, 3);
         if (s.chance(0.5))
           return s.call("aten::bmm", {s.factor({x.size(0), out, x.size(1)}).ref, x.ref});
         return s.call("aten::bmm", {x.ref, s.factor({x.size(0), x.size(2), out}).ref});
       }},
      {"baddbmm",
       [](Sketch& s, Value x) -> Result {
         x = s.ofRank(x, 3);
         const int64_t out = s.between(1, 3);
         if (large({x.size(0), x.size(1), out})) return {};
         const Value sum = term(s, {x.size(0), x.size(1), out});
         const Value y = s.factor({x.size(0), x.size(2), out});
         return s.call("aten::baddbmm", {sum.ref, x.ref, y.ref, s.chance(0.5) ? 1.0 : 0.5, 1.5});
       }},
      {"mv",
       [](Sketch& s, Value x) -> Result {
         x = s.ofRank(x, 2);
         return s.call("aten::mv", {x.ref, s.factor({x.size(1)}).ref});
       }},
      {"addmv",
       [](Sketch& s, Value x) -> Result {
         x = s.ofRank(x, 2);
         const Value sum = s.factor({x.size(0)});
         return s.call("aten::addmv", {sum.ref, x.ref, s.factor({x.size(1)}).ref, 0.5});
       }},
      {"dot",
       [](Sketch& s, Value x) -> Result {
         x = s.ofRank(x, 1);
         return s.call("aten::dot", {s.factor({x.size(0)}).ref, x.ref});
       }},
      {"outer",
       [](Sketch& s, Value x) -> Result {
         x = s.ofRank(x, 1);
         const int64_t out = s.between(1, 3);
         if (large({x.size(0), out})) return {};
         return s.call("aten::outer", {s.factor({out}).ref, x.ref});
       }},
      {"einsum",
       [](Sketch& s, Value x) -> Result {
         x = s.ofRank(x, 3);
         const auto einsum = [&](const std::string& equation, const Value& y) {
           return s.call("aten::einsum", {equation, Refs{{x.ref.value, y.ref.value}}});
         };
         switch (s.below(4)) {
           case 0:
             return einsum("bij,jk->bik", s.factor({x.size(2), 2}));
           case 1:
             return einsum("bij,bij->b", s.factor(x.shape()));
           case 2:
             return einsum("bij,bk->kj", s.factor({x.size(0), 2}));
           default:
             return einsum("bij,i->bji", s.factor({x.size(1)}));
         }
       }},
      {"bilinear",
       [](Sketch& s, Value x) -> Result {
         x = s.ofRank(x, 2);
         const Value y = s.factor({x.size(0), 2});
         const int64_t out = s.between(1, 3);
         return s.call("aten::bilinear",
                       {x.ref, y.ref, s.factor({out, x.size(1), 2}).ref, maybe(s, {out})});
       }},
  };
}

std::vector<Operation> others() {
  return {
      convolution(1),
      convolution(2),
      {"conv_transpose2d",
       [](Sketch& s, Value x) -> Result {
         x = s.ofRank(x, 4);
         const int64_t out = s.between(1, 2);
         if (large({x.numel(), 4, out})) return {};
         const Value weight = s.factor({x.size(1), out, 2, 2});
         return s.call("aten::conv_transpose2d.input",
                       {x.ref, weight.ref, maybe(s, {out}), List{2, 2}});
       }},
      {"x as a convolution's kernel",
       [](Sketch& s, Value x) -> Result {
         const Value weight = s.ofRank(x, 4);
         if (large({weight.numel(), 4})) return {};
         const Value data = s.factor({2, weight.size(1), weight.size(2) + 1, weight.size(3)});
         return s.call("aten::conv2d", {data.ref, weight.ref, maybe(s, {weight.size(0)})});
       }},
      {"convolution as exported",
       [](Sketch& s, Value x) -> Result {
         x = s.ofRank(x, 4);
         if (large({x.numel(), 2})) return {};
         const Value weight = s.factor({2, x.size(1), 2, 2});
         return s.call("aten::convolution", {x.ref, weight.ref, maybe(s, {2}), List{1, 1},
                                             List{1, 1}, List{1, 1}, false, List{0, 0}, 1.0});
       }},
      {"scaled_dot_product_attention",
       [](Sketch& s, Value x) -> Result {
         x = s.ofRank(x, 4);
         if (large({x.size(0), x.size(1), x.size(2), x.size(2)})) return {};
         const Value key = s.chance(0.2) ? x : s.factor(x.shape());
         const Value value = s.chance(0.2) ? x : s.factor(x.shape());
         Value q = x;
         Value k = key;
         if (s.chance(0.3)) std::swap(q, k);
         std::vector<Argument> arguments{q.ref, k.ref, value.ref, kNone, 0.0, false};
         if (s.chance(0.3)) {
           arguments[3] = s.factor({x.size(2), x.size(2)}).ref;
         } else if (s.chance(0.4)) {
           arguments[5] = true;
         }
         return s.call("aten::scaled_dot_product_attention", arguments);
       }},
  };
}

}  // namespace

const std::vector<Operation>& productOperations() {
  static const std::vector<Operation> all = [] {
    std::vector<Operation> joined = matrices();
    const auto more = others();
    joined.insert(joined.end(), more.begin(), more.end());
    return joined;
  }();
  return all;
}

}  // namespace tc::test
