/** Data that stay where they are between calls. */
import { inspect, types } from 'node:util';
import { addon } from '../addon/addon.ts';
import { NativeObject } from '../addon/native-object.ts';
import type { TensorHandle } from '../addon/requests.ts';
import { type DType, dtypeOf, isFloatArray, type Tensor, type TypedArray } from '../arrays.ts';
import { TorchCurvatureError } from '../errors.ts';
import { guard } from '../guard.ts';
import { type InspectArguments, inspected } from '../inspect.ts';

/** A tensor that `bind` has put on a device: to be passed wherever tensors are, without being copied or sent again. */
export class HeldTensor extends NativeObject<TensorHandle> implements Tensor {
  readonly shape: readonly number[];
  /** Where it lies. */
  readonly device: string;
  readonly #dtype: DType | undefined;
  /** @internal An empty array of the kind of its data. */
  readonly sample: TypedArray;

  static {
    guard(HeldTensor, HeldTensor.is);
  }

  /** @internal Whether it is one, and no Proxy or heir of one. */
  static is(value: unknown): value is HeldTensor {
    return typeof value === 'object' && value !== null && #dtype in value;
  }

  /** @internal @param like the data that it was made of */
  constructor(handle: TensorHandle, like: Tensor, device: string) {
    super(handle, 'the bound problem', 'bind', (each) => addon().tensorDispose(each));
    this.shape = Object.freeze([...like.shape]);
    this.device = device;
    this.#dtype = isFloatArray(like.data) ? dtypeOf(like.data) : undefined;
    this.sample = emptyLike(like.data);
  }

  /** A copy of its data. */
  get data(): TypedArray {
    return addon().tensorData(this.handle);
  }

  /** @internal What the addon takes it by. */
  get held(): TensorHandle {
    return this.handle;
  }

  /** @internal Itself, if it fits the precision of the parameters; floating data have one. */
  checked(name: string, dtype: DType): Tensor {
    if (this.disposed) throw new TorchCurvatureError('ERR_DISPOSED', `${name} was used after its dispose()`);
    if (this.#dtype === undefined || this.#dtype === dtype) return this;
    throw new TorchCurvatureError(
      'ERR_DTYPE_MISMATCH',
      `${name} should be ${dtype} as params are, got a bound tensor of ${this.#dtype}`,
    );
  }

  /** In `Object.prototype.toString`. */
  get [Symbol.toStringTag](): string {
    return 'HeldTensor';
  }

  /** @internal */
  [inspect.custom](...how: InspectArguments): string {
    const { shape, device, disposed } = this;
    return inspected('HeldTensor', { shape, device, disposed }, how);
  }
}

function emptyLike(data: TypedArray): TypedArray {
  if (types.isFloat32Array(data)) return new Float32Array();
  if (types.isFloat64Array(data)) return new Float64Array();
  if (types.isInt32Array(data)) return new Int32Array();
  return types.isUint8Array(data) ? new Uint8Array() : new BigInt64Array();
}
