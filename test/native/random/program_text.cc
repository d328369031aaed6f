#include "program_text.h"

#include <sstream>

#include "core/program/program.h"

namespace tc::test {
namespace {

using Slot = Program::Slot;

class Writer {
 public:
  explicit Writer(const Point& point) : point_(point), program_(*point.program) {}

  std::string write() {
    for (const auto& parameter : program_.parameters()) define(parameter.shape);
    for (const auto& input : point_.inputs) define(input.sizes());
    for (const auto& constant : program_.constants()) define(constant.sizes());
    int64_t value = static_cast<int64_t>(program_.parameters().size()) + program_.inputCount() +
                    static_cast<int64_t>(program_.constants().size());
    for (const auto& node : program_.nodes()) {
      for (int64_t i = 0; i < node.outputs; ++i) text_ << (i > 0 ? ", " : "") << name(value++);
      const auto& schema = node.op.schema();
      text_ << " = " << schema.name();
      if (!schema.overload_name().empty()) text_ << "." << schema.overload_name();
      text_ << "(";
      for (size_t i = 0; i < node.slots.size(); ++i) {
        text_ << (i > 0 ? ", " : "");
        argument(node.slots[i]);
      }
      text_ << ")\n";
    }
    text_ << "result " << name(program_.output()) << "\n";
    return text_.str();
  }

 private:
  std::string name(int64_t value) const {
    const auto parameters = static_cast<int64_t>(program_.parameters().size());
    const auto constants = static_cast<int64_t>(program_.constants().size());
    const auto numbered = [](const char* letter, int64_t i) { return letter + std::to_string(i); };
    if (value < parameters) return numbered("p", value);
    value -= parameters;
    if (value < program_.inputCount()) return numbered("x", value);
    value -= program_.inputCount();
    return value < constants ? numbered("c", value) : numbered("v", value - constants);
  }

  void define(at::IntArrayRef shape) { text_ << name(defined_++) << " " << shape << "\n"; }

  void argument(const Slot& slot) {
    if (const auto* constant = std::get_if<c10::IValue>(&slot)) {
      if (constant->isTensor()) {
        text_ << constant->toTensor().item().toDouble();
      } else {
        text_ << *constant;
      }
    } else if (const auto* ref = std::get_if<ProgramSpec::Ref>(&slot)) {
      text_ << name(ref->value);
    } else if (const auto* refs = std::get_if<ProgramSpec::Refs>(&slot)) {
      text_ << "[";
      for (const auto& each : refs->values) text_ << (each ? name(*each) : "None") << " ";
      text_ << "]";
    } else {
      text_ << "(known when it runs)";
    }
  }

  const Point& point_;
  const Program& program_;
  std::ostringstream text_;
  int64_t defined_ = 0;
};

}  // namespace

std::string programText(const Point& point) { return Writer(point).write(); }

}  // namespace tc::test
