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
  at::Tensor jvp(const at::Tensor& v, const StopToken& stop) override {
    return apply(jvp_, &Linearization::jvp, v, stop);
  }
  at::Tensor vjp(const at::Tensor& u, const StopToken& stop) override {
    return apply(vjp_, &Linearization::vjp, u, stop);
  }
  at::Tensor matvec(const at::Tensor& v, const StopToken& stop) override {
    return apply(matvec_, &Linearization::matvec, v, stop);
  }
  std::optional<at::Tensor> diagonal(const RowFactorsOf& factors, const StopToken& stop) override {
    return inner_->diagonal(factors, stop);
  }
  void jacobian(int64_t begin, int64_t end, const at::Tensor& out, const StopToken& stop) override {
    inner_->jacobian(begin, end, out, stop);
  }
  const char* engine() const override { return inner_->engine(); }
  int64_t bytes() const override { return inner_->bytes() + recorder_->bytes(); }

 private:
  struct Kind {
    int64_t products = 0;       ///< that ran through their operators
    Recorder::Function replay;  ///< empty: not recorded (yet)
  };

  using Product = at::Tensor (Linearization::*)(const at::Tensor&, const StopToken&);

  at::Tensor apply(Kind& kind, Product product, const at::Tensor& input, const StopToken& stop) {
    if (kind.replay) {
      try {
        return kind.replay(input);
      } catch (const c10::Error&) {  // too little memory to launch it, say
        kind.replay = nullptr;
      }
    }
    at::Tensor result = recorder_->run([&] { return ((*inner_).*product)(input, stop); });
    // After a product on this very thread: libraries keep handles and workspaces for each.
    if (++kind.products == kProductsBeforeRecording) {
      // Half a recording is none: it is made without looking at the token.
      kind.replay = recorder_->record(
          [this, product](const at::Tensor& each) {
            return ((*inner_).*product)(each, StopToken());
          },
          input);
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
