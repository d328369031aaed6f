#!/bin/sh
# Builds torch-curvature against the PyTorch of this machine, without a network, and
#
#   ./run.sh test     runs its tests
#   ./run.sh bench    measures the dense product beside the on-the-fly one, on the CPU
#   ./run.sh cuda     runs the tests of CUDA and measures on the GPU, beside PyTorch itself
#   ./run.sh all      all of it
#
# Needed: a C++20 compiler, CMake, and a PyTorch 2.6 or later: that of python3, or of the Python that PYTHON names, or the
# folder that LIBTORCH names. What came of it is in report.txt and report.json beside this file.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export PATH="$here/bin:$PATH"
exec "$here/bin/node" "$here/package/scripts/offline/run.mjs" "$here" "$@"
