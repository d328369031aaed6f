#include "random_programs.h"

#include <cstdlib>

#include "counts.h"
#include "operations.h"

namespace tc::test {
namespace {

const std::vector<std::vector<Operation>>& kinds() {
  static const std::vector<std::vector<Operation>> all = {
      shapeOperations(), elementwiseOperations(), productOperations(), reductionOperations(),
      layerOperations()};
  return all;
}

uint64_t fromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoull(text);
}

}  // namespace

RandomProgram randomProgram(uint64_t seed) {
  Sketch sketch(seed);
  RandomProgram program;
  const auto length = static_cast<size_t>(sketch.between(1, 12));
  while (program.operations.size() < length) {
    const Operation& operation = sketch.pick(sketch.pick(kinds()));
    const auto result = operation.apply(sketch, sketch.subject());
    if (!result) continue;
    sketch.bounded(*result);
    program.operations.push_back(operation.name);
    program.differentiable = program.differentiable && operation.differentiable;
  }
  program.point = sketch.finish();
  return program;
}

std::vector<std::string> operationNames() {
  std::vector<std::string> names;
  for (const auto& kind : kinds()) {
    for (const Operation& operation : kind) names.push_back(operation.name);
  }
  return names;
}

Seeds seeds(uint64_t first, uint64_t count) {
  return {fromEnvironment("TORCH_CURVATURE_TEST_SEED", first),
          fromEnvironment("TORCH_CURVATURE_TEST_PROGRAMS", byCounts(count / 4, count))};
}

}  // namespace tc::test
