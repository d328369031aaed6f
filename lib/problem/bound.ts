/** Which objects `bind` made: what takes problems says what to write in their place. */

export const bound = new WeakSet<object>();
