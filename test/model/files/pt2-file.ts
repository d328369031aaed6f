/** Exported programs for tests, written as PyTorch writes them: a graph of one parameter w [5, 3] and one input x [batch, 3]. */
import { writeZip } from './write-zip.ts';

export const tensorArgument = (name: string) => ({ as_tensor: { name } });
export const int = (as_int: number) => ({ as_int });
export const ints = (...as_ints: number[]) => ({ as_ints });

/** `[target, inputs as [name, argument], names of the results]` */
export type GraphNode = readonly [string, readonly (readonly [string, unknown])[], readonly string[]];

const meta = (sizes: unknown[], requires_grad = false) => ({
  dtype: 7,
  sizes,
  requires_grad,
  device: { type: 'cpu', index: null },
  strides: [],
  storage_offset: int(0),
  layout: 7,
});

/** A call of an operator of ATen. */
export const call = (op: string, inputs: Record<string, unknown>, ...results: string[]): GraphNode => [
  `torch.ops.aten.${op}`,
  Object.entries(inputs),
  results,
];
/** A node as PyTorch writes it. */
export const rawNode = ([target, inputs, outputs]: GraphNode) => ({
  target,
  inputs: inputs.map(([name, arg]) => ({ name, arg, kind: 1 })),
  outputs: outputs.map(tensorArgument),
  metadata: {},
});

/**
 * `raw` are nodes before the others, `header` replaces entries of the whole, `described` are tensors of the graph. With
 * `scalar` there is a parameter s without axes, p_s.
 */
export function pt2(
  nodes: readonly GraphNode[],
  output: string,
  raw: readonly object[] = [],
  header: object = {},
  described: object = {},
  scalar = false,
): Uint8Array {
  const ofScalar = <T>(...some: T[]) => (scalar ? some : []);
  const batch = { as_expr: { expr_str: 's0', hint: { as_int: 3 } } };
  const model = {
    graph_module: {
      graph: {
        inputs: [tensorArgument('p_w'), ...ofScalar(tensorArgument('p_s')), tensorArgument('x')],
        outputs: [tensorArgument(output)],
        nodes: [...raw, ...nodes.map(rawNode)],
        tensor_values: {
          p_w: { ...meta([int(5), int(3)], true), strides: [int(3), int(1)] },
          x: meta([batch, int(3)]),
          ...(scalar ? { p_s: meta([], true) } : {}),
          ...described,
        },
        sym_int_values: {},
        sym_bool_values: {},
        is_single_tensor_return: false,
      },
      signature: {
        input_specs: [
          { parameter: { arg: { name: 'p_w' }, parameter_name: 'w' } },
          ...ofScalar({ parameter: { arg: { name: 'p_s' }, parameter_name: 's' } }),
          { user_input: { arg: tensorArgument('x') } },
        ],
        output_specs: [{ user_output: { arg: tensorArgument(output) } }],
      },
      module_call_graph: [],
      metadata: {},
    },
    opset_version: { aten: 10 },
    range_constraints: {},
    schema_version: { major: 8, minor: 14 },
    torch_version: '2.13.0',
    ...header,
  };
  const weights = {
    config: {
      ...(scalar
        ? {
            s: {
              path_name: 'weight_1',
              is_param: true,
              use_pickle: false,
              tensor_meta: { ...meta([], true), strides: [] },
            },
          }
        : {}),
      w: {
        path_name: 'weight_0',
        is_param: true,
        use_pickle: false,
        tensor_meta: { ...meta([int(5), int(3)], true), strides: [int(3), int(1)] },
      },
    },
  };
  const text = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
  return writeZip([
    { name: 'm/models/model.json', data: text(model) },
    { name: 'm/archive_format', data: text('pt2') },
    { name: 'm/byteorder', data: text('little') },
    { name: 'm/data/weights/weight_0', data: Buffer.from(new Float32Array(15).fill(0.5).buffer) },
    ...ofScalar({ name: 'm/data/weights/weight_1', data: Buffer.from(Float32Array.of(1.5).buffer) }),
    { name: 'm/data/weights/model_weights_config.json', data: text(weights) },
    { name: 'm/data/constants/model_constants_config.json', data: text({ config: {} }) },
  ]);
}
