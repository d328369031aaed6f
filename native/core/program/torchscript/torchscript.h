#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/program/program.h"

namespace tc {

/// Which result of a model is wanted: by its number or its name, or the only one.
using WantedResult = std::variant<std::monostate, int64_t, std::string>;

/// A TorchScript model as a program and the values of its parameters.
struct TorchScriptModel {
  ProgramSpec spec;
  at::Tensor parameters;            ///< flat, in the order of `spec.parameters`
  std::vector<std::string> frozen;  ///< names of parameters that do not require gradients
};

/// Reads the archive that `torch.jit.save` writes, on the CPU, and turns its `forward` into a
/// straight-line program: method calls are followed, constants folded, loops of a known length
/// unrolled, branches on constants decided. Parameters that require gradients become parameters,
/// everything else constants. None of the model's code is run. Of several results, `output` is the
/// number or the name of the one that the program gives: those of a dictionary or a NamedTuple have
/// names.
///
/// Throws Error: ERR_MODEL_LOAD for a damaged file, ERR_UNSUPPORTED_OP for what has no place in
/// such a program, by name, and for several results without `output`; ERR_INVALID_ARGUMENT for an
/// `output` that there is not.
TorchScriptModel loadTorchScript(const void* data, size_t size, const WantedResult& output = {});

}  // namespace tc
