#pragma once

#include <ATen/core/function_schema.h>

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/program/program.h"
#include "core/program/torchscript/items.h"

namespace tc::torchscript {

/// Elements of lists and letters of words that a model makes while it is read.
constexpr size_t kLongest = 1'000'000;

bool isOneOf(std::string_view name, std::initializer_list<std::string_view> names);

/// The elements of a list, also of a constant one. Throws Error ERR_UNSUPPORTED_OP when `item` is
/// no list whose length is known.
std::vector<Item> elements(const Item& item, const std::string& op);

/// A size, from one or from a whole number. Throws Error ERR_UNSUPPORTED_OP.
ProgramSpec::Size toSize(const Item& item, const std::string& op);

/// Whether a size is a whole number, whatever the sizes are that it depends on.
bool isWhole(const ProgramSpec::Size& size);

/// The whole number that the item is, if it is one; in traced models these are tensors of no axes.
std::optional<int64_t> wholeNumber(const Item& item);

/// The number that a tensor of the model with one element holds; none of a parameter's, along which
/// there are derivatives.
std::optional<c10::IValue> numberOf(const at::Tensor& tensor);

/// The numbers of a tensor of the model, in lists as its axes are; as `numberOf`.
std::optional<Item> listOfNumbers(const at::Tensor& tensor);

/// What the dtypes written into a model are compared with.
struct Precisions {
  at::ScalarType model;                ///< of the parameters
  std::optional<at::ScalarType> data;  ///< of the operator's first argument, when it is a constant
  bool makesTensor;                    ///< the operator takes no tensor
};

/// The argument of a program's node for an argument of an operator. Throws Error ERR_UNSUPPORTED_OP
/// for what cannot be one.
ProgramSpec::Argument toArgument(const Item& item, const c10::Argument& formal,
                                 const std::string& op, const Precisions& precisions);

}  // namespace tc::torchscript
