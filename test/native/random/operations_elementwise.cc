// Functions of numbers, applied to every element, of one value or of several that broadcast.
#include "operations.h"

namespace tc::test {
namespace {

using Float = ProgramSpec::Float;

/// f(x), with what it takes after x; of positive numbers only if `positive`.
Operation function(const std::string& target, std::vector<Argument> more = {},
                   bool positive = false) {
  return {target, [=](Sketch& s, Value x) -> Result {
            if (positive) x = s.positive(x);
            std::vector<Argument> arguments{x.ref};
            arguments.insert(arguments.end(), more.begin(), more.end());
            return s.call(target, arguments);
          }};
}

/// f(x, y) of values that broadcast, in either order, now and then of the same one twice.
Operation pair(const std::string& target, bool scaled = false) {
  return {target, [=](Sketch& s, Value x) -> Result {
            Value y = s.chance(0.1) ? x : s.partner(x);
            if (s.chance(0.5)) std::swap(x, y);
            std::vector<Argument> arguments{x.ref, y.ref};
            if (scaled && s.chance(0.4)) arguments.emplace_back(s.chance(0.5) ? 2.0 : -0.7);
            return s.call(target, arguments);
          }};
}

/// x > a number or > a value, or a constant mask.
Value condition(Sketch& s, const Value& x) {
  switch (s.below(3)) {
    case 0:
      return s.call("aten::gt.Scalar", {x.ref, 0.1});
    case 1:
      return s.call("aten::lt.Tensor", {x.ref, s.partner(x).ref});
    default:
      return s.call("aten::eq.Scalar", {s.indices(x.shape(), 2).ref, 0.0});
  }
}

std::vector<Operation> ofOne() {
  return {
      function("aten::tanh"),
      function("aten::relu"),
      function("aten::gelu"),
      function("aten::gelu", {std::string("tanh")}),
      function("aten::silu"),
      function("aten::sigmoid"),
      function("aten::softplus"),
      function("aten::elu"),
      function("aten::leaky_relu", {0.2}),
      function("aten::abs"),
      function("aten::neg"),
      function("aten::sin"),
      function("aten::cos"),
      function("aten::atan"),
      function("aten::erf"),
      function("aten::exp"),
      function("aten::expm1"),
      function("aten::square"),
      function("aten::log", {}, true),
      function("aten::log1p", {}, true),
      function("aten::sqrt", {}, true),
      function("aten::rsqrt", {}, true),
      function("aten::reciprocal", {}, true),
      function("aten::pow.Tensor_Scalar", {2.0}),
      function("aten::pow.Tensor_Scalar", {3.0}),
      function("aten::pow.Tensor_Scalar", {-1.5}, true),
      function("aten::clamp", {-0.5, 0.8}),
      function("aten::clamp", {kNone, 0.4}),
      function("aten::clamp_min", {-0.2}),
      function("aten::hardtanh"),
      function("aten::hardswish"),
      function("aten::hardsigmoid"),
      function("aten::relu6"),
      function("aten::mish"),
      function("aten::selu"),
      function("aten::celu"),
      function("aten::log_sigmoid"),
      function("aten::softshrink"),
      function("aten::hardshrink"),
      function("aten::threshold", {0.1, 0.3}),
      function("aten::floor"),
      function("aten::sign"),
      function("aten::add.Scalar", {0.5, 2.0}),
      function("aten::sub.Scalar", {0.5}),
      function("aten::rsub.Scalar", {1.0, 0.5}),
      function("aten::mul.Scalar", {-1.5}),
      function("aten::mul.Tensor", {Float{2.0}}),
      function("aten::add.Tensor", {Float{2.0}}),
      function("aten::div.Scalar", {3.0}),
      function("aten::div.Tensor", {Float{-0.7}}),
  };
}

std::vector<Operation> ofSeveral() {
  return {
      pair("aten::add.Tensor", true),
      pair("aten::sub.Tensor", true),
      pair("aten::rsub.Tensor", true),
      pair("aten::mul.Tensor"),
      pair("aten::mul.Tensor"),
      pair("aten::maximum"),
      pair("aten::minimum"),
      pair("aten::logaddexp"),
      {"aten::div.Tensor",
       [](Sketch& s, Value x) -> Result {
         const Value y = s.positive(s.partner(x));
         return s.call("aten::div.Tensor", {x.ref, y.ref});
       }},
      {"aten::atan2",
       [](Sketch& s, Value x) -> Result {
         return s.call("aten::atan2", {x.ref, s.positive(s.partner(x)).ref});
       }},
      {"aten::pow.Tensor_Tensor",
       [](Sketch& s, Value x) -> Result {
         Value y = s.partner(x);
         if (s.chance(0.5)) std::swap(x, y);
         return s.call("aten::pow.Tensor_Tensor",
                       {s.positive(x).ref, s.call("aten::tanh", {y.ref}).ref});
       }},
      {"aten::pow.Scalar",
       [](Sketch& s, Value x) -> Result { return s.call("aten::pow.Scalar", {1.7, x.ref}); }},
      {"aten::where.self",
       [](Sketch& s, Value x) -> Result {
         Value y = s.partner(x);
         const Value mask = condition(s, x);
         if (s.chance(0.5)) std::swap(x, y);
         return s.call("aten::where.self", {mask.ref, x.ref, y.ref});
       }},
      {"aten::masked_fill.Scalar",
       [](Sketch& s, Value x) -> Result {
         return s.call("aten::masked_fill.Scalar", {x.ref, condition(s, x).ref, 0.3});
       }},
      {"aten::masked_fill.Tensor",
       [](Sketch& s, Value x) -> Result {
         const Value filling = s.factor({});
         return s.call("aten::masked_fill.Tensor", {x.ref, condition(s, x).ref, filling.ref});
       }},
      {"aten::clamp.Tensor",
       [](Sketch& s, Value x) -> Result {
         const Value low = s.factor(x.shape());
         return s.call("aten::clamp.Tensor", {x.ref, low.ref});
       }},
      {"aten::lerp.Scalar",
       [](Sketch& s, Value x) -> Result {
         return s.call("aten::lerp.Scalar", {x.ref, s.partner(x).ref, 0.3});
       }},
      {"aten::lerp.Tensor",
       [](Sketch& s, Value x) -> Result {
         const Value weight = s.partner(x);
         return s.call("aten::lerp.Tensor", {x.ref, s.factor(x.shape()).ref, weight.ref});
       }},
      {"aten::addcmul",
       [](Sketch& s, Value x) -> Result {
         const Value y = s.partner(x);
         const Value z = s.partner(x);
         return s.call("aten::addcmul", {y.ref, x.ref, z.ref, 0.5});
       }},
      {"aten::addcdiv",
       [](Sketch& s, Value x) -> Result {
         const Value y = s.partner(x);
         return s.call("aten::addcdiv", {x.ref, y.ref, s.positive(s.partner(x)).ref});
       }},
      {"aten::prelu",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 2) return {};
         return s.call("aten::prelu", {x.ref, s.factor({x.size(1)}).ref});
       }},
      {"aten::glu",
       [](Sketch& s, Value x) -> Result {
         if (x.dim() < 1) return {};
         const int64_t axis = s.axis(x);
         if (x.size(axis) % 2 != 0) return {};
         return s.call("aten::glu", {x.ref, s.written(axis, x.dim())});
       }},
  };
}

}  // namespace

const std::vector<Operation>& elementwiseOperations() {
  static const std::vector<Operation> all = [] {
    std::vector<Operation> joined = ofOne();
    const auto more = ofSeveral();
    joined.insert(joined.end(), more.begin(), more.end());
    return joined;
  }();
  return all;
}

}  // namespace tc::test
