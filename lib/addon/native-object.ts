import { types } from 'node:util';
import { TorchCurvatureError, wrongType } from '../errors.ts';
import { guard } from '../guard.ts';

/**
 * Something that holds native memory. `dispose`, or the end of a `using` block, frees it at once; the garbage collector
 * does so at last. Operations in flight finish first.
 */
export abstract class NativeObject<Handle> implements Disposable {
  #handle: Handle | undefined;
  readonly #name: string;
  readonly #release: (handle: Handle) => void;

  static {
    guard(NativeObject, (value) => typeof value === 'object' && value !== null && #handle in value);
  }

  /**
   * @param name what messages call it: "the linearization"
   * @param makers the functions that make one
   * @param release frees the memory
   * @throws TypeError for anything but a handle of the addon, which only the package has
   */
  protected constructor(handle: Handle, name: string, makers: string, release: (handle: Handle) => void) {
    if (!types.isExternal(handle)) {
      throw wrongType(`new ${new.target.name} is not for callers: ${makers} makes ${name}`);
    }
    this.#handle = handle;
    this.#name = name;
    this.#release = release;
  }

  /** @internal @throws TorchCurvatureError `ERR_DISPOSED` */
  get handle(): Handle {
    if (this.#handle === undefined) {
      throw new TorchCurvatureError('ERR_DISPOSED', `${this.#name} was used after its dispose()`);
    }
    return this.#handle;
  }

  /** Whether `dispose` was called. */
  get disposed(): boolean {
    return this.#handle === undefined;
  }

  /** Frees the native memory; every later use throws `ERR_DISPOSED`. Once is enough, twice does no harm. */
  dispose(): void {
    if (this.#handle === undefined) return;
    this.#release(this.#handle);
    this.#handle = undefined;
  }

  /** What the end of a `using` block calls. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
