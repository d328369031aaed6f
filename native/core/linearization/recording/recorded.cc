#include "core/linearization/recording/recorded.h"

#include <c10/util/Exception.h>

#include <utility>

namespace tc {
namespace {

class RecordedLinearization : public Linearization {
 public:
  RecordedLinearization(std::unique_ptr<Recorder> recorder, const MakeLinearization& make)
      : recorder_(std::move(recorder)) {
    output_ = recorder_->run([&] {
      inner_ = make();
      return inner_->output();
    });
  }

  const at::Tensor& output() const override { return output_; }
  at::Tensor jvp(const at::Tensor& v) override { return apply(jvp_, &Linearization::jvp, v); }
  at::Tensor vjp(const at::Tensor& u) override { return apply(vjp_, &Linearization::vjp, u); }
  at::Tensor matvec(const at::Tensor& v) override {
    return apply(matvec_, &Linearization::matvec, v);
  }
  const char* engine() const override { return inner_->engine(); }
  int64_t bytes() const override { return inner_->bytes() + recorder_->bytes(); }

 private:
  struct Kind {
    int64_t products = 0;       ///< that ran through their operators
    Recorder::Function replay;  ///< empty: not recorded (yet)
  };

  at::Tensor apply(Kind& kind, at::Tensor (Linearization::*product)(const at::Tensor&),
                   const at::Tensor& input) {
    if (kind.replay) {
      try {
        return kind.replay(input);
      } catch (const c10::Error&) {  // too little memory to launch it, say
        kind.replay = nullptr;
      }
    }
    at::Tensor result = recorder_->run([&] { return ((*inner_).*product)(input); });
    // After a product on this very thread: libraries keep handles and workspaces for each.
    if (++kind.products == kProductsBeforeRecording) {
      kind.replay = recorder_->record(
          [this, product](const at::Tensor& each) { return ((*inner_).*product)(each); }, input);
    }
    return result;
  }

  std::unique_ptr<Recorder> recorder_;  ///< outlives what its recordings compute with
  std::unique_ptr<Linearization> inner_;
  at::Tensor output_;
  Kind jvp_;
  Kind vjp_;
  Kind matvec_;
};

}  // namespace

std::unique_ptr<Linearization> recorded(std::unique_ptr<Recorder> recorder,
                                        const MakeLinearization& make) {
  return std::make_unique<RecordedLinearization>(std::move(recorder), make);
}

}  // namespace tc
