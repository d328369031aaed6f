// Operators that move numbers: views, copies, lists, lookups.
#include "operations.h"

namespace tc::test {
namespace {

using Ref = ProgramSpec::Ref;

constexpr int64_t kMostNumbers = 200;

List list(const Sketch::Shape& shape) { return {shape.begin(), shape.end()}; }

double number(int64_t value) { return static_cast<double>(value); }

bool grows(const Value& x, int64_t factor) { return x.numel() * factor > kMostNumbers; }

List permutation(Sketch& s, int64_t dim) {
  List order;
  for (int64_t i = 0; i < dim; ++i)
    order.insert(order.begin() + s.below(static_cast<int64_t>(order.size()) + 1), number(i));
  return order;
}

/// All axes, or some.
Sketch::Shape otherShape(Sketch& s, const Value& x) {
  Sketch::Shape shape = x.shape();
  const int64_t numel = x.numel();
  switch (s.below(3)) {
    case 0:
      return {numel};
    case 1:
      shape.insert(shape.begin() + s.below(x.dim() + 1), 1);
      return shape;
    default:
      for (const int64_t part : {2, 3, 5}) {
        if (numel % part == 0) return {part, numel / part};
      }
      return {1, numel};
  }
}

/// Operators with several results: one of them, or two of them together.
Value oneOf(Sketch& s, const std::vector<Value>& results) {
  const Value first = s.pick(results);
  const Value second = s.pick(results);
  if (s.chance(0.5) || !first.data.sizes().equals(second.data.sizes())) return first;
  return s.call("aten::mul.Tensor", {first.ref, second.ref});
}

std::vector<Operation> views() {
  return {
      {"transpose",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         return s.call("aten::transpose.int",
                       {x.ref, s.written(s.axis(x), x.dim()), s.written(s.axis(x), x.dim())});
       }},
      {"t", [](Sketch& s, Value x) -> Result { return s.call("aten::t", {s.ofRank(x, 2).ref}); }},
      {"permute",
       [](Sketch& s, Value x) -> Result {
         return s.call("aten::permute", {x.ref, permutation(s, x.dim())});
       }},
      {"movedim",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         return s.call("aten::movedim.int", {x.ref, number(s.axis(x)), number(s.axis(x))});
       }},
      {"unsqueeze",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() > 4) return {};
         return s.call("aten::unsqueeze", {x.ref, s.written(s.below(x.dim() + 1), x.dim() + 1)});
       }},
      {"squeeze",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1 || s.chance(0.3)) return s.call("aten::squeeze", {x.ref});
         return s.call("aten::squeeze.dim", {x.ref, s.written(s.axis(x), x.dim())});
       }},
      {"expand",
       [](Sketch& s, Value x) -> Result {
         Sketch::Shape shape = x.shape();
         for (int64_t& size : shape) {
           if (size == 1) {
             size = 3;
           } else if (s.chance(0.3)) {
             size = -1;
           }
         }
         if (x.dim() < 4 && s.chance(0.6)) shape.insert(shape.begin(), 2);
         if (grows(x, 18)) return {};
         return s.call("aten::expand", {x.ref, list(shape)});
       }},
      {"expand_as",
       [](Sketch& s, Value x) -> Result {
         const Value y = s.partner(x);
         const auto shape = at::infer_size(x.data.sizes(), y.data.sizes());
         if (!y.data.sizes().equals(shape)) return {};
         return s.call("aten::expand_as", {x.ref, y.ref});
       }},
      {"slice",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         const int64_t axis = s.axis(x);
         const int64_t begin = s.below(x.size(axis));
         const int64_t end = s.between(begin + 1, x.size(axis) + 1);
         return s.call("aten::slice.Tensor", {x.ref, s.written(axis, x.dim()), number(begin),
                                              number(end), number(s.between(1, 2))});
       }},
      {"select",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         const int64_t axis = s.axis(x);
         return s.call("aten::select.int", {x.ref, s.written(axis, x.dim()),
                                            s.written(s.below(x.size(axis)), x.size(axis))});
       }},
      {"narrow",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         const int64_t axis = s.axis(x);
         const int64_t begin = s.below(x.size(axis));
         return s.call("aten::narrow", {x.ref, number(axis), number(begin),
                                        number(s.between(1, x.size(axis) - begin))});
       }},
      {"flatten",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         const int64_t begin = s.axis(x);
         return s.call("aten::flatten.using_ints",
                       {x.ref, number(begin), s.written(s.between(begin, x.dim() - 1), x.dim())});
       }},
      {"unflatten",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         return s.call("aten::unflatten.int", {x.ref, number(s.axis(x)), List{-1, 1}});
       }},
      {"reshape",
       [](Sketch& s, Value x) -> Result {
         return s.call("aten::reshape", {x.ref, list(otherShape(s, x))});
       }},
      {"view",
       [](Sketch& s, Value x) -> Result {
         if (!x.data.is_contiguous()) x = s.call("aten::contiguous", {x.ref});
         return s.call(s.chance(0.5) ? "aten::view" : "aten::_unsafe_view",
                       {x.ref, list(otherShape(s, x))});
       }},
      {"diagonal",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 2) return {};
         const int64_t axis = s.below(x.dim() - 1);
         return s.call("aten::diagonal", {x.ref, 0.0, number(axis), number(axis + 1)});
       }},
      {"unfold",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1 || x.dim() > 3 || grows(x, 2)) return {};
         const int64_t axis = s.axis(x);
         const int64_t size = s.between(1, x.size(axis));
         return s.call("aten::unfold", {x.ref, number(axis), number(size), 1.0});
       }},
      {"clone",
       [](Sketch& s, Value x) -> Result {
         return s.call(
             s.pick(std::vector<std::string>{"aten::clone", "aten::contiguous", "aten::alias"}),
             {x.ref});
       }},
      {"detach", [](Sketch& s, Value x) -> Result { return s.call("aten::detach", {x.ref}); },
       false},
      {"dropout in evaluation",
       [](Sketch& s, Value x) -> Result { return s.call("aten::dropout", {x.ref, 0.5, false}); }},
  };
}

std::vector<Operation> copies() {
  return {
      {"flip",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         return s.call("aten::flip", {x.ref, List{number(s.axis(x))}});
       }},
      {"roll",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         return s.call("aten::roll", {x.ref, List{1}, List{number(s.axis(x))}});
       }},
      {"repeat",
       [](Sketch& s, Value x) -> Result {
         if (grows(x, 4)) return {};
         List counts(static_cast<size_t>(x.dim()) + 1, 1);
         counts[static_cast<size_t>(s.below(x.dim() + 1))] = 2;
         counts[static_cast<size_t>(s.below(x.dim() + 1))] = 2;
         return s.call("aten::repeat", {x.ref, counts});
       }},
      {"repeat_interleave",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1 || grows(x, 2)) return {};
         return s.call("aten::repeat_interleave.self_int", {x.ref, 2.0, number(s.axis(x))});
       }},
      {"pad",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1 || grows(x, 3)) return {};
         return s.call("aten::constant_pad_nd",
                       {x.ref, List{1, number(s.between(-0, 1))}, s.chance(0.5) ? 0.0 : 0.7});
       }},
      {"reflection_pad1d",
       [](Sketch& s, Value x) -> Result {
         x = s.ofRank(x, 3);
         if (x.size(2) < 2 || grows(x, 2)) return {};
         return s.call("aten::reflection_pad1d", {x.ref, List{1, 1}});
       }},
      {"tril and triu",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 2) return {};
         return s.call(s.chance(0.5) ? "aten::tril" : "aten::triu",
                       {x.ref, number(s.between(-1, 1))});
       }},
      {"cat",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1 || grows(x, 3)) return {};
         const Value y = s.factor(x.shape());
         Refs parts{{x.ref.value, y.ref.value}};
         if (s.chance(0.3)) parts.values.emplace_back(s.factor(x.shape()).ref.value);
         if (s.chance(0.5)) std::swap(parts.values.front(), parts.values.back());
         return s.call("aten::cat", {parts, s.written(s.axis(x), x.dim())});
       }},
      {"stack",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() > 3 || grows(x, 2)) return {};
         const Refs parts{{s.factor(x.shape()).ref.value, x.ref.value}};
         return s.call("aten::stack", {parts, s.written(s.below(x.dim() + 1), x.dim() + 1)});
       }},
      {"split",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         const int64_t axis = s.axis(x);
         const int64_t size = s.between(1, x.size(axis));
         return oneOf(s, s.calls("aten::split.Tensor", {x.ref, number(size), number(axis)},
                                 (x.size(axis) + size - 1) / size));
       }},
      {"split_with_sizes",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         const int64_t axis = s.axis(x);
         if (x.size(axis) < 2) return {};
         const int64_t first = s.between(1, x.size(axis) - 1);
         return oneOf(
             s,
             s.calls("aten::split_with_sizes",
                     {x.ref, List{number(first), number(x.size(axis) - first)}, number(axis)}, 2));
       }},
      {"chunk",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         const int64_t axis = s.axis(x);
         if (x.size(axis) < 2) return {};
         return oneOf(s, s.calls("aten::chunk", {x.ref, 2.0, number(axis)}, 2));
       }},
      {"unbind",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         const int64_t axis = s.axis(x);
         return oneOf(s, s.calls("aten::unbind.int", {x.ref, number(axis)}, x.size(axis)));
       }},
  };
}

std::vector<Operation> lookups() {
  return {
      {"index_select",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1 || grows(x, 3)) return {};
         const int64_t axis = s.axis(x);
         const Value index = s.indices({3}, x.size(axis));
         return s.call("aten::index_select", {x.ref, number(axis), index.ref});
       }},
      {"gather",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         const int64_t axis = s.axis(x);
         const Value index = s.indices(x.shape(), x.size(axis));
         return s.call("aten::gather", {x.ref, number(axis), index.ref});
       }},
      {"scatter_add",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         const int64_t axis = s.axis(x);
         const Value index = s.indices(x.shape(), x.size(axis));
         const Value source = s.factor(x.shape());
         return s.call("aten::scatter_add", {x.ref, number(axis), index.ref, source.ref});
       }},
      {"index",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 2 || grows(x, 3)) return {};
         const Value index = s.indices({3}, x.size(1));
         return s.call("aten::index.Tensor", {x.ref, Refs{{std::nullopt, index.ref.value}}});
       }},
      {"embedding",
       [](Sketch& s, Value x) -> Result {
         const Value table = s.chance(0.5) ? s.ofRank(x, 2) : s.factor({5, 3});
         if (table.numel() > kMostNumbers / 3) return {};
         const Value index = s.indices({x.dim() > 0 ? x.size(0) : 1, 3}, table.size(0));
         if (index.numel() * table.size(1) > kMostNumbers) return {};
         return s.call("aten::embedding", {table.ref, index.ref});
       }},
  };
}

}  // namespace

const std::vector<Operation>& shapeOperations() {
  static const std::vector<Operation> all = [] {
    std::vector<Operation> joined;
    for (const auto& part : {views(), copies(), lookups()})
      joined.insert(joined.end(), part.begin(), part.end());
    return joined;
  }();
  return all;
}

}  // namespace tc::test
