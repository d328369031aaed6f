/** Arithmetic on sizes, as exported graphs have it. */

/** By the names of Python's modules `operator` and `math` and of PyTorch's `sym_…`: the function of the core's sizes.cc. */
const FUNCTIONS: Readonly<Record<string, string>> = {
  add: '+',
  sub: '-',
  mul: '*',
  floordiv: '//',
  mod: '%',
  truediv: '/',
  pow: '**',
  neg: 'negative',
  eq: '==',
  ne: '!=',
  lt: '<',
  le: '<=',
  gt: '>',
  ge: '>=',
  and_: 'and',
  or_: 'or',
  not: 'not',
  float: 'real',
  int: 'truncate',
  trunc: 'truncate',
  max: 'maximum',
  min: 'minimum',
  ite: 'choose',
  floor: 'floor',
  ceil: 'ceil',
  round: 'round',
  abs: 'absolute',
  sqrt: 'sqrt',
  exp: 'exp',
  log: 'log',
  log2: 'log2',
  cos: 'cos',
  sin: 'sin',
  tan: 'tan',
  cosh: 'cosh',
  sinh: 'sinh',
  tanh: 'tanh',
  acos: 'acos',
  asin: 'asin',
  atan: 'atan',
};

/** The function that a target of a graph applies to sizes (`_operator.add`, `torch.sym_max`), if it is one. */
export function sizeFunction(target: string): string | undefined {
  const [, name] = /^(?:_?operator|math|builtins|torch)\._?(?:sym_)?(\w+)$/.exec(target) ?? [];
  return name !== undefined && Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
}
