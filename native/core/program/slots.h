#pragma once

#include <ATen/core/jit_type.h>

#include "core/program/program.h"

namespace tc {

inline bool readsValue(const ProgramSpec::Size& size) {
  return size.kind == ProgramSpec::Size::Kind::kAxis || size.kind == ProgramSpec::Size::Kind::kItem;
}

/// Calls `function` with every value number that a size depends on.
template <typename Function>
void forEachValue(const ProgramSpec::Size& size, Function&& function) {
  if (readsValue(size)) function(size.number);
  for (const ProgramSpec::Size& operand : size.operands) forEachValue(operand, function);
}

template <typename Function>
void renumber(ProgramSpec::Size& size, Function&& function) {
  if (readsValue(size)) function(size.number);
  for (ProgramSpec::Size& operand : size.operands) renumber(operand, function);
}

/// Calls `function` with a reference to every value number that the argument reads.
template <typename Function>
void renumber(ProgramSpec::Argument& argument, Function&& function) {
  if (auto* ref = std::get_if<ProgramSpec::Ref>(&argument)) function(ref->value);
  if (auto* dtype = std::get_if<ProgramSpec::DtypeOf>(&argument)) function(dtype->value);
  if (auto* size = std::get_if<ProgramSpec::Size>(&argument)) renumber(*size, function);
  if (auto* sizes = std::get_if<ProgramSpec::Sizes>(&argument)) {
    for (ProgramSpec::Size& size : *sizes) renumber(size, function);
  }
  if (auto* refs = std::get_if<ProgramSpec::Refs>(&argument)) {
    for (auto& value : refs->values) {
      if (value) function(*value);
    }
  }
}

template <typename Function>
void renumber(ProgramSpec::Node& node, Function&& function) {
  for (ProgramSpec::Argument& argument : node.args) renumber(argument, function);
  for (auto& [name, argument] : node.kwargs) renumber(argument, function);
}

/// Calls `function` with every value number that the node takes as a tensor: not with those whose
/// sizes or dtype it asks for.
template <typename Function>
void forEachTensor(const ProgramSpec::Node& node, Function&& function) {
  const auto visit = [&](const ProgramSpec::Argument& argument) {
    if (const auto* ref = std::get_if<ProgramSpec::Ref>(&argument)) function(ref->value);
    if (const auto* refs = std::get_if<ProgramSpec::Refs>(&argument)) {
      for (const auto& value : refs->values) {
        if (value) function(*value);
      }
    }
  };
  for (const ProgramSpec::Argument& argument : node.args) visit(argument);
  for (const auto& [name, argument] : node.kwargs) visit(argument);
}

/// Calls `function` with every value number that the slot reads.
template <typename Function>
void forEachValue(const Program::Slot& slot, Function&& function) {
  if (const auto* ref = std::get_if<ProgramSpec::Ref>(&slot)) function(ref->value);
  if (const auto* dtype = std::get_if<ProgramSpec::DtypeOf>(&slot)) function(dtype->value);
  if (const auto* size = std::get_if<ProgramSpec::Size>(&slot)) forEachValue(*size, function);
  if (const auto* sizes = std::get_if<ProgramSpec::Sizes>(&slot)) {
    for (const ProgramSpec::Size& size : *sizes) forEachValue(size, function);
  }
  if (const auto* refs = std::get_if<ProgramSpec::Refs>(&slot)) {
    for (const auto& value : refs->values) {
      if (value) function(*value);
    }
  }
}

/// Whether a list type is that of optional tensors (`Tensor?[]`).
inline bool hasOptionalElements(const c10::TypePtr& type) {
  const auto list = type->cast<c10::ListType>();
  return list && list->getElementType()->kind() == c10::TypeKind::OptionalType;
}

}  // namespace tc
