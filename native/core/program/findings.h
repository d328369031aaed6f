#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <typeindex>
#include <utility>
#include <vector>

namespace tc {

/// What others found out about a program for inputs of some sizes, kept as long as the program is:
/// one value of each type for each list of sizes. Safe to share between threads.
class Findings {
 public:
  using Sizes = std::vector<int64_t>;

  /// What was found for `sizes` before, or what `make` finds now: a T. Several threads may look at
  /// the same time; the first to find it is right.
  template <typename T, typename Make>
  std::shared_ptr<const T> get(const Sizes& sizes, Make&& make) {
    const std::pair key(std::type_index(typeid(T)), sizes);
    {
      const std::lock_guard lock(mutex_);
      const auto found = found_.find(key);
      if (found != found_.end()) return std::static_pointer_cast<const T>(found->second);
    }
    auto made = std::make_shared<const T>(std::forward<Make>(make)());
    const std::lock_guard lock(mutex_);
    if (found_.size() >= kMost) found_.clear();
    return std::static_pointer_cast<const T>(
        found_.try_emplace(key, std::move(made)).first->second);
  }

 private:
  /// Batches of ever new sizes should not fill the memory.
  static constexpr size_t kMost = 64;

  std::mutex mutex_;
  std::map<std::pair<std::type_index, Sizes>, std::shared_ptr<const void>> found_;
};

}  // namespace tc
