"""Writes native/core/kernels/erfc.inc, the coefficients of e^(y²) erfc(y) for the fused engine's gelu. (1 + 2y) times that
function is smooth in t = (y − K) / (y + K) with K = 3.75 (Shepherd and Laframboise, Mathematics of Computation 36, 1981);
it is interpolated at Chebyshev nodes in 50 digits and written as a polynomial in t. Needs mpmath; run from the root of
the repository."""

from mpmath import chebyfit, erfc, exp, mp, mpf, nstr

mp.dps = 50
MIDDLE = mpf("3.75")
# Precision, suffix of its numbers, largest y, degree: as far as the function is asked for, and as near as the precision can tell.
FITS = [("float", "F", 12, 10), ("double", "", 28, 23)]


def scaled(t):
    y = MIDDLE * (1 + t) / (1 - t)
    return (1 + 2 * y) * exp(y * y) * erfc(y)


lines = [
    "// Written by scripts/reference/erfc_coefficients.py: the polynomial Σ_i kCoefficients[i] t^i is",
    "// (1 + 2y) e^(y²) erfc(y) for 0 ≤ y ≤ kLargest, with t = (y − kMiddle) / (y + kMiddle).",
    "",
    "template <typename T>",
    "struct ScaledComplementFit;",
]
for precision, suffix, largest, degree in FITS:
    end = (largest - MIDDLE) / (largest + MIDDLE)
    coefficients, error = chebyfit(scaled, [-1, end], degree + 1, error=True)
    lines += [
        "",
        f"/// Within {nstr(error, 2)}.",
        "template <>",
        f"struct ScaledComplementFit<{precision}> {{",
        f"  static constexpr {precision} kMiddle = {nstr(MIDDLE, 18)}{suffix};",
        f"  static constexpr {precision} kLargest = {largest};",
        f"  static constexpr {precision} kCoefficients[] = {{",
        *(f"      {nstr(each, 18)}{suffix}," for each in reversed(coefficients)),
        "  };",
        "};",
    ]
with open("native/core/kernels/erfc.inc", "w", encoding="utf-8") as file:
    file.write("\n".join(lines) + "\n")
