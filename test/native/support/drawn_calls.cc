#include "drawn_calls.h"

#include <ATen/ATen.h>
#include <ATen/core/jit_type.h>

#include <algorithm>
#include <iterator>
#include <sstream>
#include <utility>

#include "core/program/allowed_operators.h"
#include "core/program/argument_checks.h"
#include "draw.h"

namespace tc::test {
namespace {

using Size = ProgramSpec::Size;

class Drawing : Draw {
 public:
  Drawing(const c10::OperatorHandle& op, uint64_t seed) : Draw(seed), op_(op) {
    at::manual_seed(seed);
    const bool square = chance(0.4);
    const int64_t side = whole(1, 4);
    shape_.resize(static_cast<size_t>(whole(0, 4)));
    for (int64_t& size : shape_) size = square ? side : whole(1, 4);
    axis_ = whole(0, static_cast<int64_t>(shape_.size()));
    if (chance(0.3)) axis_ = 0;
    if (chance(0.3)) outer_ = whole(1, 3);
    if (chance(0.3)) inner_ = whole(1, 3);
  }

  /// Nothing where an argument is of a type that is not drawn.
  std::optional<DrawnCall> call() {
    for (const c10::Argument& each : op_.schema().arguments()) {
      if (each.default_value() && chance(0.5)) {
        slots_.emplace_back(*each.default_value());
      } else if (!add(each.type(), each.name())) {
        return {};
      }
    }
    Program::Node node = emptyNode(op_);
    node.slots = slots_;
    return DrawnCall{std::move(node), std::move(places_), std::move(values_), std::move(text_)};
  }

 private:
  at::Tensor numbers(const std::vector<int64_t>& sizes) {
    if (chance(0.15)) return at::randint(0, 3, sizes, at::kLong);
    if (chance(0.1)) return at::rand(sizes, at::kDouble) > 0.5;
    if (chance(0.1)) return at::randn(sizes, at::kComplexDouble);
    return at::randn(sizes, at::kDouble);
  }

  /// The number of a value, which has rows or not.
  int64_t value() {
    std::vector<int64_t> sizes = shape_;
    if (chance(0.3))
      sizes.resize(static_cast<size_t>(whole(0, static_cast<int64_t>(sizes.size()))));
    if (chance(0.2)) std::reverse(sizes.begin(), sizes.end());
    if (chance(0.2) && !sizes.empty()) sizes.back() = whole(1, 4);
    RowAxis place{-1};
    if (chance(0.65)) {
      place = {std::min<int64_t>(axis_, static_cast<int64_t>(sizes.size())), outer_, inner_};
      if (chance(0.1)) place.axis = whole(0, static_cast<int64_t>(sizes.size()));
      sizes.insert(sizes.begin() + place.axis, outer_ * DrawnCall::kRows * inner_);
    }
    places_.push_back(place);
    values_.push_back(numbers(sizes));
    text_ += " " + std::string(c10::toString(values_.back().scalar_type())) + "[";
    for (const int64_t size : sizes) text_ += " " + std::to_string(size);
    text_ += " ] at " + std::to_string(place.axis) + ",";
    return static_cast<int64_t>(values_.size()) - 1;
  }

  int64_t number() {
    const auto rank = static_cast<int64_t>(shape_.size()) + 1;
    return chance(0.7) ? whole(-rank, rank) : whole(0, 3);
  }

  /// Sizes, of which some may be by the number of rows.
  void addSizes() {
    ProgramSpec::Sizes sizes;
    const int64_t count = whole(1, 4);
    for (int64_t i = 0; i < count; ++i) {
      const bool byRows = !values_.empty() && places_[0].axis >= 0 && chance(0.4);
      if (byRows) {
        sizes.push_back({Size::Kind::kAxis, 0, places_[0].axis, {}});
        text_ += " rows,";
      } else {
        sizes.push_back({Size::Kind::kConstant, chance(0.3) ? -1 : whole(1, 4), 0, {}});
        text_ += " " + std::to_string(sizes.back().number) + ",";
      }
    }
    slots_.emplace_back(std::move(sizes));
  }

  bool add(const c10::TypePtr& type, const std::string& name) {
    if (const auto optional = type->cast<c10::OptionalType>()) {
      if (!chance(0.4)) return add(optional->getElementType(), name);
      slots_.emplace_back(c10::IValue());
      return true;
    }
    if (const auto list = type->cast<c10::ListType>()) return addList(list->getElementType(), name);
    const auto put = [&](c10::IValue value) {
      std::ostringstream shown;
      shown << ' ' << name << '=' << value << ',';
      text_ += shown.str();
      slots_.emplace_back(std::move(value));
      return true;
    };
    switch (type->kind()) {
      case c10::TypeKind::TensorType:
        slots_.emplace_back(ProgramSpec::Ref{value()});
        return true;
      case c10::TypeKind::IntType:
      case c10::TypeKind::SymIntType:
        if (name == "dtype" || name == "layout" || name == "memory_format")
          return put(c10::IValue());
        return put(number());
      case c10::TypeKind::FloatType:
      case c10::TypeKind::NumberType:
        return put(chance(0.5) ? c10::IValue(0.5) : c10::IValue(2.0));
      case c10::TypeKind::BoolType:
        return put(chance(0.5));
      case c10::TypeKind::StringType:
        return put(equation(name));
      default:
        return false;
    }
  }

  bool addList(const c10::TypePtr& element, const std::string& name) {
    if (element->kind() == c10::TypeKind::IntType || element->kind() == c10::TypeKind::SymIntType) {
      if (chance(0.5)) {
        addSizes();
        return true;
      }
      std::vector<int64_t> list(static_cast<size_t>(whole(1, 3)));
      text_ += ' ' + name + "=[";
      for (int64_t& each : list) {
        each = number();
        text_ += ' ' + std::to_string(each);
      }
      text_ += " ],";
      slots_.emplace_back(c10::IValue(list));
      return true;
    }
    const bool optional = element->kind() == c10::TypeKind::OptionalType;
    if (element->kind() != c10::TypeKind::TensorType && !optional) return false;
    ProgramSpec::Refs refs;
    const int64_t count = whole(1, 3);
    for (int64_t i = 0; i < count; ++i) {
      const bool left = optional && chance(0.5);
      refs.values.push_back(left ? std::nullopt : std::optional(value()));
      if (left) text_ += " none,";
    }
    slots_.emplace_back(std::move(refs));
    return true;
  }

  std::string equation(const std::string& name) {
    if (name != "equation") return chance(0.5) ? "reflect" : "constant";
    const char* const equations[] = {"ij,jk->ik", "bij,bjk->bik",    "bi,ij->bj", "bi,bj->bij",
                                     "ij,ij->i",  "ib,jb->ijb",      "bij->bji",  "bij->ij",
                                     "ij->ji",    "bhij,bhjk->bhik", "bi,bi->b",  "bb->b"};
    return equations[whole(0, std::size(equations) - 1)];
  }

  const c10::OperatorHandle& op_;
  std::vector<int64_t> shape_;
  int64_t axis_ = 0;
  int64_t outer_ = 1;
  int64_t inner_ = 1;
  std::vector<Program::Slot> slots_;
  std::vector<RowAxis> places_;
  std::vector<at::Tensor> values_;
  std::string text_;
};

}  // namespace

std::vector<c10::OperatorHandle> operatorsOfModels() {
  // Those that are called here, but by no program, and whose graphs are never freed.
  static const std::set<std::string> replaced = {"aten::lift", "aten::lift_fresh", "aten::vander"};
  std::vector<c10::OperatorHandle> found;
  for (const auto& name : c10::Dispatcher::singleton().getAllOpNames()) {
    const auto op = c10::Dispatcher::singleton().findSchema(name);
    if (!op || op->schema().is_mutable() || !isAllowed(*op)) continue;
    if (!op->hasTag(at::Tag::nondeterministic_seeded) && !replaced.contains(name.name))
      found.push_back(*op);
  }
  return found;
}

Program::Node emptyNode(const c10::OperatorHandle& op) {
  Program::Node node{op, {}, 0, false, {}};
  node.check = findArgumentCheck(op);
  node.preparation = findArgumentPreparation(op);
  const auto& returns = op.schema().returns();
  const bool list =
      returns.size() == 1 && returns.front().type()->kind() == c10::TypeKind::ListType;
  node.outputs = list ? 1 : static_cast<int64_t>(returns.size());
  return node;
}

std::optional<DrawnCall> drawCall(const c10::OperatorHandle& op, uint64_t seed) {
  return Drawing(op, seed).call();
}

bool sameNumbers(const at::Tensor& a, const at::Tensor& b) {
  if (a.scalar_type() != b.scalar_type() || a.sizes() != b.sizes()) return false;
  if (!a.is_floating_point() && !a.is_complex()) return at::equal(a, b);
  const at::ScalarType type = at::toRealValueType(a.scalar_type());
  const double rounding = type == at::kDouble ? 1e-9 : type == at::kFloat ? 1e-5 : 1e-2;
  return at::allclose(a, b, rounding, rounding, /*equal_nan=*/true);
}

}  // namespace tc::test
