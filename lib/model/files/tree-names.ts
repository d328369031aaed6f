/** The names of a model's results, from how torch.export flattened what `forward` returned. */
import { asList, asObject, type Json } from './json.ts';

/** Containers inside containers. */
const DEEPEST = 16;

interface Tree {
  type: string | null;
  context: unknown;
  children: readonly Tree[];
}

/**
 * One name for each leaf: keys, fields and numbers on the way to it, with points between (`logits`, `hidden.0`); empty
 * where the model returns a single value. `undefined` where the file does not tell.
 */
export function leafNames(graphModule: Json): string[] | undefined {
  try {
    const [root] = asList(graphModule.module_call_graph, 'module_call_graph');
    const signature = asObject(asObject(root, 'a module call').signature, 'a signature');
    const spec: unknown = JSON.parse(String(signature.out_spec));
    const fields = Object(graphModule.treespec_namedtuple_fields) as Json;
    return names(treeOf(Array.isArray(spec) ? spec[1] : undefined, DEEPEST), fields);
  } catch {
    return undefined; // written by another version, or by hand
  }
}

function treeOf(spec: unknown, depth: number): Tree {
  const { type, context, children_spec: children } = asObject(spec, 'a tree');
  if (depth === 0) throw new RangeError('a tree is nested too deep');
  return {
    type: typeof type === 'string' ? type : null,
    context: typeof context === 'string' ? JSON.parse(context) : context,
    children: asList(children, 'a tree').map((child) => treeOf(child, depth - 1)),
  };
}

function names({ type, context, children }: Tree, fields: Json): string[] {
  if (type === null) return [''];
  const keys = keysOf(context, children.length) ?? fieldsOf(fields[type], children.length);
  return children.flatMap((child, index) =>
    names(child, fields).map((rest) => {
      const key = String(keys?.[index] ?? index);
      return rest === '' ? key : `${key}.${rest}`;
    }),
  );
}

/** The keys of a dictionary: the list of strings in its context, which other classes have one level deeper. */
function keysOf(context: unknown, count: number): readonly string[] | undefined {
  if (!Array.isArray(context) || count === 0) return undefined;
  if (context.length === count && context.every((key) => typeof key === 'string')) return context;
  return context.map((inner) => keysOf(inner, count)).find((keys) => keys !== undefined);
}

/** The fields of a named tuple, as the file lists them for each class. */
function fieldsOf(listed: unknown, count: number): readonly string[] | undefined {
  if (!Array.isArray(listed) || listed.length !== count) return undefined;
  const all = listed.map((field) => (typeof field === 'string' ? field : Object(field).field_name));
  return all.every((field) => typeof field === 'string') ? all : undefined;
}
