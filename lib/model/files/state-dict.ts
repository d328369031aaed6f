/** Dictionaries of tensors as `torch.save` writes them. */
import { damaged, unsupported } from './failure.ts';
import { asCount } from './json.ts';
import { Global, unpickle } from './pickle.ts';
import type { Reading } from './reading.ts';
import { type ElementType, elementSize, type StoredTensor } from './stored-tensor.ts';
import { Archive } from './zip.ts';

/** How `torch.save` and `torch.jit.save` name the types of storages. */
const STORAGES: Readonly<Record<string, ElementType>> = {
  'torch.FloatStorage': 'float32',
  'torch.DoubleStorage': 'float64',
  'torch.HalfStorage': 'float16',
  'torch.BFloat16Storage': 'bfloat16',
  'torch.LongStorage': 'int64',
  'torch.IntStorage': 'int32',
  'torch.ShortStorage': 'int16',
  'torch.CharStorage': 'int8',
  'torch.ByteStorage': 'uint8',
  'torch.BoolStorage': 'bool',
  'torch.ComplexFloatStorage': 'complex64',
  'torch.ComplexDoubleStorage': 'complex128',
};

class Storage {
  readonly type: ElementType;
  readonly key: string;
  readonly bytes: Uint8Array;

  constructor(type: ElementType, key: string, bytes: Uint8Array) {
    this.type = type;
    this.key = key;
    this.bytes = bytes;
  }
}

class Tensor {
  readonly stored: StoredTensor;

  constructor(stored: StoredTensor) {
    this.stored = stored;
  }
}

/** The tensors by name; entries that are no tensors are left out. */
export async function readStateDict(
  bytes: Uint8Array,
  name: string,
  reading: Reading,
): Promise<Map<string, StoredTensor>> {
  const archive = await Archive.open(bytes, reading);
  const pickle = archive.names.find((entry) => entry.endsWith('/data.pkl'));
  if (pickle === undefined) throw damaged(`${name} was not written by torch.save`);
  const root = pickle.slice(0, -'data.pkl'.length);
  if (
    archive.has(`${root}byteorder`) &&
    Buffer.from(archive.read(`${root}byteorder`)).toString() !== 'little'
  ) {
    throw damaged(`${name} has another byte order than little-endian`);
  }
  const content = unpickle(
    archive.read(pickle),
    {
      persistent: (id) => storage(archive, `${root}data/`, id, name),
      call,
    },
    reading,
  );
  if (!(content instanceof Map)) throw damaged(`${name} holds no dictionary`);
  const tensors = new Map<string, StoredTensor>();
  for (const [key, value] of content) {
    if (typeof key === 'string' && value instanceof Tensor) tensors.set(key, value.stored);
  }
  return tensors;
}

/**
 * The storage that a pickle refers to, whose bytes are an entry in `folder`.
 *
 * @param origin tells the archive from others, whose entries have the same names
 */
export function storage(archive: Archive, folder: string, id: unknown, origin = ''): Storage {
  const [kind, type, key, , count] = Array.isArray(id) ? id : [];
  const element = type instanceof Global ? STORAGES[type.name] : undefined;
  if (element === undefined && type instanceof Global && /^torch\.\w{1,40}Storage$/.test(type.name))
    throw unsupported(`a tensor has its numbers in a ${type.name}, which has no counterpart here`);
  if (kind !== 'storage' || element === undefined || typeof key !== 'string') {
    throw damaged('a pickle refers to a storage of an unknown kind');
  }
  const bytes = archive.read(folder + key);
  if (asCount(count, 'the length of a storage') * elementSize(element) > bytes.length) {
    throw damaged(`${folder}${key} is shorter than the tensors in it`);
  }
  return new Storage(element, `${origin}:${folder}${key}`, bytes);
}

function call(name: string, args: readonly unknown[]): unknown {
  switch (name) {
    case 'collections.OrderedDict':
      return new Map();
    case 'torch._utils._rebuild_tensor_v2':
      return rebuildTensor(args);
    case 'torch._utils._rebuild_parameter':
    case 'torch._utils._rebuild_parameter_with_state': {
      // The state is what Python's code has noted at the parameter: strict exports do.
      const [data, requiresGrad] = args;
      if (!(data instanceof Tensor)) throw damaged('a pickle makes a parameter of no tensor');
      return new Tensor({ ...data.stored, isParameter: true, requiresGrad: requiresGrad === true });
    }
    default:
      throw damaged(`a pickle calls ${name}, which is not allowed`);
  }
}

function rebuildTensor([source, offset, shape, strides, requiresGrad]: readonly unknown[]): Tensor {
  if (!(source instanceof Storage) || !Array.isArray(shape) || !Array.isArray(strides)) {
    throw damaged('a pickle makes a tensor of no storage');
  }
  const layout = {
    shape: shape.map((size) => asCount(size, 'a size of a tensor')),
    strides: strides.map((stride) => asCount(stride, 'a stride of a tensor')),
    offset: asCount(offset, 'the offset of a tensor'),
  };
  if (layout.shape.length !== layout.strides.length)
    throw damaged('a tensor has not one stride for each axis');
  return new Tensor({
    ...layout,
    type: source.type,
    bytes: source.bytes,
    isParameter: false,
    requiresGrad: requiresGrad === true,
    identity: JSON.stringify([source.key, layout]),
    storage: source.key,
  });
}
