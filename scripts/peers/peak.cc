// Measures the floating-point peak of this machine's cores: independent multiply-adds on vectors, as many as it takes
// to hide their latency. Prints GFLOP/s on 1 … N threads, float32 and float64, as JSON.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

constexpr int kVectors = 16;
constexpr long kRounds = 4'000'000;

template <typename T>
double flopsOnce() {
  constexpr int kBytes =
#if defined(__AVX512F__)
      64;
#elif defined(__AVX__)
      32;
#else
      16;
#endif
  typedef T Vector __attribute__((vector_size(kBytes)));
  Vector sums[kVectors];
  for (int i = 0; i < kVectors; ++i) sums[i] = Vector{} + static_cast<T>(i);
  Vector factor = Vector{} + static_cast<T>(0.999999);
  Vector addend = Vector{} + static_cast<T>(0.000001);
  asm volatile("" : "+m"(factor), "+m"(addend));
  const Vector a = factor;
  const Vector b = addend;
  for (long round = 0; round < kRounds; ++round) {
#pragma GCC unroll 16
    for (int i = 0; i < kVectors; ++i) sums[i] = sums[i] * a + b;
  }
  for (auto& sum : sums) asm volatile("" : : "m"(sum));
  return 2.0 * kVectors * (kBytes / sizeof(T)) * kRounds;
}

template <typename T>
double gigaflops(int threads) {
  double best = 0;
  for (int repeat = 0; repeat < 5; ++repeat) {
    std::vector<std::thread> workers;
    std::vector<double> flops(threads);
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < threads; ++i) workers.emplace_back([&, i] { flops[i] = flopsOnce<T>(); });
    for (auto& worker : workers) worker.join();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    double sum = 0;
    for (const double each : flops) sum += each;
    best = sum / seconds.count() / 1e9 > best ? sum / seconds.count() / 1e9 : best;
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  const int most = argc > 1 ? std::atoi(argv[1]) : 1;
  std::printf("[");
  for (int threads = 1; threads <= most; ++threads) {
    std::printf("%s{\"threads\": %d, \"float32\": %.1f, \"float64\": %.1f}", threads > 1 ? ", " : "", threads,
                gigaflops<float>(threads), gigaflops<double>(threads));
  }
  std::printf("]\n");
}
