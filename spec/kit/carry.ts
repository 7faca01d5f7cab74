// What specs of codecs share: carrying a value there and back, and telling where two values differ.
import * as assert from 'uvu/assert';
import { CodecError } from '../../lib/memory/errors.ts';
import type { Codec } from '../../lib/queue/codec.ts';

/** What an object of a built-in class holds beside its properties. */
function insides(value: object): unknown[] {
  if (ArrayBuffer.isView(value)) return [value.buffer, value.byteOffset, value.byteLength];
  if (value instanceof ArrayBuffer) return [value.maxByteLength, ...new Uint8Array(value)];
  if (value instanceof Map) return [...value].flat(1);
  if (value instanceof Set) return [...value];
  if (value instanceof RegExp) return [value.source, value.flags];
  const scalar = value instanceof Date || value instanceof Number || value instanceof String;
  return scalar || value instanceof Boolean || value instanceof BigInt ? [value.valueOf()] : [];
}

/** Where `a` and `b` differ in any way that a program can see, or ''. `twins` pairs the objects met so far. */
export function difference(
  a: unknown,
  b: unknown,
  path: string = 'value',
  twins: Map<unknown, unknown> = new Map(),
): string {
  if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) {
    return Object.is(a, b) ? '' : `${path}: ${String(a)} and ${String(b)}`;
  }
  if (twins.has(a) || twins.has(b)) return twins.get(a) === b && twins.get(b) === a ? '' : `${path}: other identity`;
  twins.set(a, b).set(b, a);
  if (a === b) return '';
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return `${path}: other prototype`;
  if (Array.isArray(a) !== Array.isArray(b)) return `${path}: one is no array`;
  const parts: [string, unknown, unknown][] = [['keys', Reflect.ownKeys(a).join(), Reflect.ownKeys(b).join()]];
  const [left, right] = [insides(a), insides(b)];
  left.push(left.length);
  right.push(right.length);
  for (const [i, x] of left.entries()) parts.push([`<${i}>`, x, right[i]]);
  for (const key of ArrayBuffer.isView(a) ? [] : Reflect.ownKeys(a)) {
    const { value: x, ...own } = Object.getOwnPropertyDescriptor(a, key) ?? {};
    const { value: y, ...other } = Object.getOwnPropertyDescriptor(b, key) ?? {};
    parts.push([String(key), x, y], [`${String(key)} as`, JSON.stringify(own), JSON.stringify(other)]);
  }
  return parts.map(([name, x, y]) => difference(x, y, `${path}.${name}`, twins)).find((found) => found !== '') ?? '';
}

const shared = Buffer.from(new SharedArrayBuffer(1 << 20));
export const scratch: Buffer = Buffer.alloc(1 << 20);

/** Through shared memory at an odd place and through private memory; the bytes are overwritten before the value is used. */
export function carry<T>(through: Codec<T>, value: T): T {
  const end = through.encode(value, scratch, 3, scratch.length);
  const kept = through.decode(scratch, 3, end);
  scratch.fill(0xa5, 0, end);
  const stop = through.encode(value, shared, 7, shared.length);
  assert.is(stop - 7, end - 3, 'both take the same bytes');
  const value2 = through.decode(shared, 7, stop);
  shared.fill(0xa5, 0, stop);
  assert.is(difference(kept, value2), '', 'shared and private memory agree');
  return value2;
}

export function refused(through: Codec<unknown>, value: unknown, message: RegExp): void {
  assert.throws(
    () => through.encode(value, scratch, 0, scratch.length),
    (error: unknown) => error instanceof CodecError && error.code === 'ERR_CODEC' && message.test(error.message),
  );
}

/** The same numbers each time: mulberry32. */
export function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
