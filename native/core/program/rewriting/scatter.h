#pragma once

#include <string>

#include "core/program/rewriting/rewriting.h"

namespace tc::rewriting {

/// `scatter_reduce` by "amax" or "amin" without what `self` holds where something is scattered to.
Argument scatteredExtreme(Rewriting& r, const Argument& self, const Argument& dim,
                          const Argument& index, const Argument& src, const std::string& reduce);

}  // namespace tc::rewriting
