/** Files that are nearly others. */

/** A whole number from 0 to below `limit`. */
export type Random = (limit: number) => number;

/** The same numbers for the same seed (Marsaglia's xorshift of 32 bits). */
export function random(seed: number): Random {
  let state = seed | 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

const NUMBERS = [0, 1, -1, 2, 127, 128, 255, 256, 32767, 65535, 2 ** 31 - 1, -(2 ** 31), 2 ** 32 - 1];
const VALUES = [null, true, -1, 0, 0.5, 1e300, 2 ** 31, 2 ** 53, 2 ** 63, '', 'NaN', '__proto__', [], {}];

/** One to four changes of a file; parts come from `others` and `words`. */
export function mutate(
  file: Uint8Array,
  others: readonly Uint8Array[],
  words: readonly string[],
  draw: Random,
): Uint8Array {
  if (file[0] === 0x7b && draw(2) === 0) return mutateJson(file, others, draw);
  let bytes = file;
  for (let changes = 1 + draw(4); changes > 0; changes--) bytes = changed(bytes, others, words, draw);
  return bytes;
}

function changed(
  file: Uint8Array,
  others: readonly Uint8Array[],
  words: readonly string[],
  draw: Random,
): Uint8Array {
  const at = draw(file.length + 1);
  const length = Math.min(1 + draw(draw(4) === 0 ? 256 : 8), file.length - at);
  const replace = (from: number, count: number, by: Uint8Array) =>
    Buffer.concat([file.subarray(0, from), by, file.subarray(from + count)]);
  const part = (source: Uint8Array) => {
    const from = draw(source.length + 1);
    return source.subarray(from, from + 1 + draw(64));
  };
  switch (draw(8)) {
    case 0:
      return replace(at, length, new Uint8Array());
    case 1:
      return replace(at, 0, part(file));
    case 2:
      return replace(at, length, part(others[draw(others.length)]!));
    case 3:
      return replace(at, draw(2) * length, Buffer.from(words[draw(words.length)] ?? ''));
    case 4:
      return replace(at, length, Buffer.from(Array.from({ length }, () => draw(256))));
    case 5: {
      const number = Buffer.alloc([1, 2, 4, 8][draw(4)]!);
      const value = BigInt(NUMBERS[draw(NUMBERS.length)]!);
      for (let i = 0; i < number.length; i++) number[i] = Number(BigInt.asUintN(8, value >> BigInt(8 * i)));
      return replace(at, Math.min(number.length, file.length - at), number);
    }
    case 6:
      return draw(8) === 0 ? file.subarray(0, at) : replace(at, 0, file.subarray(at, at + length));
    default: {
      const copy = Buffer.from(file);
      if (at < copy.length) copy[at]! ^= 1 << draw(8);
      return copy;
    }
  }
}

type Place = { holder: Record<string, unknown>; key: string };

/** Changes a value of a JSON file, or swaps it for one of another. */
function mutateJson(file: Uint8Array, others: readonly Uint8Array[], draw: Random): Uint8Array {
  const [tree, other] = [file, others[draw(others.length)]!].map((bytes) => {
    try {
      return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
    } catch {
      return {};
    }
  });
  const [places, sources] = [placesIn(tree), placesIn(other)];
  for (let changes = 1 + draw(3); changes > 0 && places.length > 0; changes--) {
    const { holder, key } = places[draw(places.length)]!;
    const source = sources[draw(sources.length)];
    const choice = draw(4);
    if (choice === 0) delete holder[key];
    else if (choice === 1 || source === undefined) holder[key] = VALUES[draw(VALUES.length)];
    else holder[key] = structuredClone(source.holder[source.key]);
  }
  return Buffer.from(JSON.stringify(tree));
}

/** Every value of a tree. */
function placesIn(tree: unknown): Place[] {
  const places: Place[] = [];
  const visit = (value: unknown) => {
    if (typeof value !== 'object' || value === null) return;
    for (const key of Object.keys(value)) {
      const holder = value as Record<string, unknown>;
      places.push({ holder, key });
      visit(holder[key]);
    }
  };
  visit(tree);
  return places;
}
