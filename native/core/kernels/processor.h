#pragma once

namespace tc::fused {

/// Whether this is an AMD processor with 512-bit units (Zen 5, family 26, and later).
///
/// MKL, with which libtorch multiplies matrices, takes 256-bit vectors on all of AMD's: of 211
/// GFLOP/s of a core of an EPYC 9005 it reached 80 to 90 in float32, our kernels 170 to 210. And
/// rows or columns that lie far apart are read in place there: copies of them first, which pay on
/// Intel's, cost 10 to 25 %.
bool isWideAmd();

/// Says otherwise from now on. For tests: not to be called while products run.
void forceWideAmd(bool wide);

}  // namespace tc::fused
