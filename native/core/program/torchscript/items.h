#pragma once

#include <ATen/core/ivalue.h>

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/program/program.h"

namespace tc::torchscript {

struct List;
struct Dict;

/// A tensor, by its value number (before constants have theirs; see `Tensors`).
struct TensorItem {
  int64_t id;
};
/// The list of a tensor's sizes.
struct SizesItem {
  int64_t id;
};
/// The device of a tensor: where the program runs.
struct DeviceItem {};
/// What only a run could tell, such as the number of axes of a tensor.
struct UnknownItem {
  std::string origin;  ///< the operator it comes from
};

/// What is known of a value of a TorchScript graph without running it: a constant or a module, a
/// tensor of the program, a size or dtype that the program will know, or a list or dictionary of
/// such things.
using Item =
    std::variant<c10::IValue, TensorItem, std::shared_ptr<List>, std::shared_ptr<Dict>,
                 ProgramSpec::Size, SizesItem, ProgramSpec::DtypeOf, DeviceItem, UnknownItem>;

/// Lists are shared, because `append` changes them; tuples are lists too.
struct List {
  std::vector<Item> items;
};

/// A dictionary, in the order of its keys' first use.
struct Dict {
  std::vector<std::pair<c10::IValue, Item>> entries;
};

}  // namespace tc::torchscript
