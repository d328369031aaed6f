/** Options that not all choices of another option have: those of some operators, or of some methods. */
import type { Command, Option } from 'commander';
import { UsageError } from './failure.ts';

export interface OwnOption<Kind> {
  /** Where commander keeps its value. */
  name: string;
  /** Whose it is. */
  of: (kind: Kind) => boolean;
  option: () => Option;
}

/** A table of them; the kinds are what an option such as `--operator` chooses from. */
export class OwnOptions<Kind extends string> {
  readonly #chooser: string;
  readonly #kinds: readonly Kind[];
  readonly #nameOf: (kind: Kind) => string;
  readonly #rows: readonly OwnOption<Kind>[];

  /**
   * @param chooser `--operator`
   * @param nameOf how the chooser calls a kind
   */
  constructor(
    chooser: string,
    kinds: readonly Kind[],
    nameOf: (kind: Kind) => string,
    rows: readonly OwnOption<Kind>[],
  ) {
    this.#chooser = chooser;
    this.#kinds = kinds;
    this.#nameOf = nameOf;
    this.#rows = rows;
  }

  #namesOf(of: OwnOption<Kind>['of']): string {
    return this.#kinds.filter(of).map(this.#nameOf).join(', ');
  }

  /** Adds them to a command; the help says of each whose it is, where not all have it. */
  addTo(command: Command): Command {
    for (const { option, of } of this.#rows) {
      const own = option();
      if (!this.#kinds.every(of)) own.description += ` (of ${this.#namesOf(of)})`;
      command.addOption(own);
    }
    return command;
  }

  /** @throws UsageError where one was given that `kind` does not have */
  check(options: object, kind: Kind): void {
    const given = options as Readonly<Record<string, unknown>>;
    for (const { name, of, option } of this.#rows) {
      if (given[name] === undefined || of(kind)) continue;
      const { long } = option();
      const whose = this.#namesOf(of);
      throw new UsageError(`${long} is not for ${this.#chooser} ${this.#nameOf(kind)}, but for ${whose}`);
    }
  }
}
