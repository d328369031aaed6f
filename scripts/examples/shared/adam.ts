import type { FloatArray } from 'torch-curvature';

/** Kingma & Ba, "Adam: a method for stochastic optimization" (2015), with the usual constants. */
export class Adam {
  /** A copy of those it began with, which each step moves. */
  readonly params: FloatArray;
  readonly #rate: number;
  readonly #first: Float64Array;
  readonly #second: Float64Array;
  #steps = 0;

  constructor(params: FloatArray, rate: number) {
    this.params = params.slice();
    this.#rate = rate;
    this.#first = new Float64Array(params.length);
    this.#second = new Float64Array(params.length);
  }

  step(gradient: FloatArray): void {
    this.#steps += 1;
    const [keepFirst, keepSecond] = [0.9, 0.999];
    const scale = (this.#rate * Math.sqrt(1 - keepSecond ** this.#steps)) / (1 - keepFirst ** this.#steps);
    for (let i = 0; i < gradient.length; i++) {
      this.#first[i] = keepFirst * this.#first[i]! + (1 - keepFirst) * gradient[i]!;
      this.#second[i] = keepSecond * this.#second[i]! + (1 - keepSecond) * gradient[i]! ** 2;
      this.params[i]! -= (scale * this.#first[i]!) / (Math.sqrt(this.#second[i]!) + 1e-8);
    }
  }
}
