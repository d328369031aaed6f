#include "core/program/schema.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_set>

#include "core/runtime/error.h"

namespace tc {
namespace {

bool isTensorOrList(const c10::TypePtr& type) {
  if (const auto optional = type->cast<c10::OptionalType>())
    return isTensorOrList(optional->getElementType());
  if (const auto list = type->cast<c10::ListType>()) return isTensorOrList(list->getElementType());
  return type->kind() == c10::TypeKind::TensorType;
}

/// The constant given for the argument of this name, if the operator has one and it is a constant.
std::optional<c10::IValue> constantOf(const c10::FunctionSchema& schema,
                                      const std::vector<Program::Slot>& slots,
                                      std::string_view name) {
  for (size_t i = 0; i < slots.size(); ++i) {
    if (schema.arguments()[i].name() != name) continue;
    if (const auto* constant = std::get_if<c10::IValue>(&slots[i])) return *constant;
  }
  return std::nullopt;
}

bool isFalse(const std::optional<c10::IValue>& value) {
  return value && value->isBool() && !value->toBool();
}
bool isTrue(const std::optional<c10::IValue>& value) {
  return value && value->isBool() && value->toBool();
}
bool isZero(const std::optional<c10::IValue>& value) {
  return value && value->isDouble() && value->toDouble() == 0;
}

/// Nothing is drawn outside training or with a probability of zero.
bool drawsNothing(const c10::FunctionSchema& schema, const std::vector<Program::Slot>& slots) {
  for (const auto* name : {"train", "training"}) {
    if (isFalse(constantOf(schema, slots, name))) return true;
  }
  for (const auto* name : {"p", "dropout", "dropout_p"}) {
    if (isZero(constantOf(schema, slots, name))) return true;
  }
  return false;
}

/// An operator composed of others may hand through one of its arguments whatever its schema says;
/// these are known not to.
bool isFreshComposite(std::string_view name) {
  static const std::unordered_set<std::string_view> names = {"aten::linear",
                                                             "aten::bilinear",
                                                             "aten::matmul",
                                                             "aten::linalg_matmul",
                                                             "aten::outer",
                                                             "aten::kron",
                                                             "aten::cross",
                                                             "aten::conv1d",
                                                             "aten::conv2d",
                                                             "aten::conv3d",
                                                             "aten::conv_transpose1d",
                                                             "aten::conv_transpose2d",
                                                             "aten::conv_transpose3d",
                                                             "aten::max_pool1d",
                                                             "aten::max_pool2d",
                                                             "aten::max_pool3d",
                                                             "aten::avg_pool1d",
                                                             "aten::adaptive_avg_pool1d",
                                                             "aten::adaptive_avg_pool2d",
                                                             "aten::adaptive_avg_pool3d",
                                                             "aten::layer_norm",
                                                             "aten::rms_norm",
                                                             "aten::batch_norm",
                                                             "aten::group_norm",
                                                             "aten::instance_norm",
                                                             "aten::softmax",
                                                             "aten::log_softmax",
                                                             "aten::scaled_dot_product_attention",
                                                             "aten::gru",
                                                             "aten::lstm",
                                                             "aten::rnn_tanh",
                                                             "aten::rnn_relu",
                                                             "aten::gru_cell",
                                                             "aten::lstm_cell",
                                                             "aten::rnn_tanh_cell",
                                                             "aten::selu",
                                                             "aten::relu6",
                                                             "aten::log_sigmoid",
                                                             "aten::prelu",
                                                             "aten::square",
                                                             "aten::multiply",
                                                             "aten::divide",
                                                             "aten::true_divide",
                                                             "aten::subtract",
                                                             "aten::negative",
                                                             "aten::absolute",
                                                             "aten::where",
                                                             "aten::std",
                                                             "aten::var",
                                                             "aten::cosine_similarity",
                                                             "aten::concat",
                                                             "aten::concatenate",
                                                             "aten::hstack",
                                                             "aten::vstack",
                                                             "aten::one_hot",
                                                             "aten::repeat_interleave",
                                                             "aten::upsample_bilinear2d",
                                                             "aten::upsample_nearest2d",
                                                             "aten::fft_fft",
                                                             "aten::fft_ifft",
                                                             "aten::fft_rfft",
                                                             "aten::fft_irfft",
                                                             "aten::fft_rfft2",
                                                             "aten::fft_irfft2",
                                                             "aten::linalg_solve",
                                                             "aten::linalg_inv"};
  return names.contains(name);
}

}  // namespace

c10::OperatorHandle findOperator(const std::string& target) {
  // Of vmap, grad and jvp in a model's forward, which torch.export writes down as they begin and
  // end.
  if (target.rfind("torch._functorch.", 0) == 0)
    throw Error("ERR_UNSUPPORTED_OP",
                "the program has a transform of torch.func in it (" + target +
                    "): save program.run_decompositions({}) instead, which writes out what vmap "
                    "does; a model that takes derivatives inside is to be traced first");
  const auto colon = target.find("::");
  const auto dot = target.find('.', colon == std::string::npos ? 0 : colon);
  const std::string name = target.substr(0, dot);
  const std::string overload = dot == std::string::npos ? "" : target.substr(dot + 1);
  auto op = c10::Dispatcher::singleton().findSchema({name, overload});
  if (!op) throw Error("ERR_UNSUPPORTED_OP", "this libtorch has no operator " + target);
  return *op;
}

bool returnsList(const c10::FunctionSchema& schema) {
  return schema.returns().size() == 1 &&
         schema.returns()[0].type()->kind() == c10::TypeKind::ListType &&
         isTensorOrList(schema.returns()[0].type());
}

bool makesTensor(const c10::FunctionSchema& schema) {
  return std::none_of(schema.arguments().begin(), schema.arguments().end(),
                      [](const auto& argument) { return isTensorOrList(argument.type()); });
}

bool returnsFreshMemory(const c10::OperatorHandle& op) {
  for (const auto& result : op.schema().returns()) {
    if (result.alias_info() != nullptr) return false;
  }
  if (isFreshComposite(op.schema().name())) return true;
  return !op.hasKernelForDispatchKey(c10::DispatchKey::CompositeImplicitAutograd) &&
         !op.hasTag(at::Tag::maybe_aliasing_or_mutating);
}

void refuseRandom(const std::string& name) {
  throw Error("ERR_UNSUPPORTED_OP",
              name +
                  " draws random numbers, so its products would differ from call to call; export "
                  "the model after eval(), or draw them outside and pass them as an input");
}

void refuseStochastic(const c10::OperatorHandle& op, const std::vector<Program::Slot>& slots) {
  const auto& schema = op.schema();
  const std::string& name = schema.name();
  if (name.find("batch_norm") != std::string::npos) {
    if (isTrue(constantOf(schema, slots, "training")) ||
        isTrue(constantOf(schema, slots, "train"))) {
      throw Error("ERR_UNSUPPORTED_OP",
                  name +
                      " uses the statistics of the batch, which couples its samples; export the "
                      "model after eval(), made with track_running_stats=True");
    }
    return;
  }
  if (op.hasTag(at::Tag::nondeterministic_seeded) && !drawsNothing(schema, slots))
    refuseRandom(name);
  if (isTrue(constantOf(schema, slots, "scale_grad_by_freq"))) {
    throw Error("ERR_UNSUPPORTED_OP",
                name +
                    " divides gradients by how often an index is in the batch, which makes them no "
                    "derivatives and couples its samples; export the model with "
                    "scale_grad_by_freq=False");
  }
  if (name.rfind("aten::empty", 0) == 0 || name.rfind("aten::new_empty", 0) == 0) {
    throw Error("ERR_UNSUPPORTED_OP", name + " gives memory that nothing has written to");
  }
}

}  // namespace tc
