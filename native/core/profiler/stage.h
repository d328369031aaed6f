#pragma once

#include <cstdint>
#include <initializer_list>

namespace at {
class Tensor;
}

namespace tc::profiling {

/// The stage in which a product waits for a function of JavaScript's.
inline constexpr const char* kJavaScript = "torch_curvature::javascript";

/// A part of the package's own work in the profile being recorded: an ordinary row of its table, as
/// libtorch's operators are, from construction to destruction on the calling thread. Where nothing
/// is recorded it costs a look at a thread-local variable.
///
/// What a stage counts are the operations of what it computes by the chain rule as it is written
/// down, a multiply-add being two, whichever way an engine takes: so libtorch counts its own
/// operators. Where an engine gets by with fewer (or takes more), `executed` says so, in the trace.
class Stage {
 public:
  /// `name` as it appears in tables, "torch_curvature::gram"; it should live as long as the
  /// program. `inputs` are those whose shapes the profile may ask for.
  explicit Stage(const char* name) : Stage(name, {}) {}
  Stage(const char* name, std::initializer_list<at::Tensor> inputs);
  ~Stage() {
    if (span_ != nullptr) end();
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  /// Whether anybody will see it: what it counts need not be computed otherwise.
  bool recorded() const { return span_ != nullptr; }
  /// Floating-point operations of this stage alone, without those of stages within it.
  void counts(int64_t flops, int64_t executed) const;
  void counts(int64_t flops) const { counts(flops, flops); }
  /// Of the product that begins here: P, rows of the batch, and which engine runs it.
  void describes(int64_t parameters, int64_t batch, const char* engine) const;
  /// Its time passes while another thread works, so that it is not added up again.
  void waits() const;

 private:
  struct Span;
  Span* span_ = nullptr;
  void end();
};

/// Takes the profile being recorded along to threads that help the calling one. Stages of those
/// threads are in the trace under their own thread, and their operations are counted; their time
/// passes while the thread that they help waits or works, so that it is not added up again.
class Helpers {
 public:
  /// Looks at what the calling thread records.
  Helpers();
  ~Helpers();
  Helpers(const Helpers&) = delete;
  Helpers& operator=(const Helpers&) = delete;

  bool recorded() const { return caller_ != nullptr; }

  /// While one exists, the thread records for the one that made `helpers`; does nothing on that
  /// thread itself.
  class Scope {
   public:
    explicit Scope(const Helpers& helpers);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    struct State;
    State* state_ = nullptr;
  };

 private:
  struct Caller;
  Caller* caller_ = nullptr;
};

}  // namespace tc::profiling
