#pragma once

#include <string>

#include "core/program/point.h"

namespace tc::test {

/// The program line by line, as `v7 = aten::linear(v3, p0, 0.5)`, with the shapes of its parameters
/// p, inputs x and constants c: enough to see what a failed test was about.
std::string programText(const Point& point);

}  // namespace tc::test
