/** Copy: some words from one memory to another, for what is too short for a call of V8's own. */

/** From so many words on `set` is faster, which costs some 40 ns whatever their number. */
const MANY = 64;

/** Eight at a time: V8 unrolls no loop, and a turn of one costs more than the word that it copies. */
export function copyWords(from: Int32Array, at: number, to: Int32Array, start: number, words: number): void {
  if (words >= MANY) {
    to.set(from.subarray(at, at + words), start);
    return;
  }
  let i = 0;
  for (; i + 8 <= words; i += 8) {
    const source = at + i;
    const target = start + i;
    to[target] = from[source] as number;
    to[target + 1] = from[source + 1] as number;
    to[target + 2] = from[source + 2] as number;
    to[target + 3] = from[source + 3] as number;
    to[target + 4] = from[source + 4] as number;
    to[target + 5] = from[source + 5] as number;
    to[target + 6] = from[source + 6] as number;
    to[target + 7] = from[source + 7] as number;
  }
  for (; i < words; i++) to[start + i] = from[at + i] as number;
}
