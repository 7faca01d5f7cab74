import { inspect, types } from 'node:util';
import { CodecError, show } from '../memory/errors.ts';
import type { Region } from '../memory/region.ts';
import { AnyCodec } from './any.ts';
import { keepFreedMemory, LARGE } from './heap.ts';
import { FULL, putText, Reader } from './plain.ts';
import { struct } from './struct.ts';

/**
 * How a queue carries its values: their bytes.
 *
 * Each message stands for itself: it can be decoded in any thread, in any order, whether or not others ever are.
 */
export interface Codec<T> {
  /** Shown in errors. */
  readonly name: string;
  /** What it carries, in words; shown when a value is refused. */
  readonly carries?: string;
  /** Set when the value travels inside the slot of the ring and needs no block. `accepts` is then there too. */
  readonly inline?: 'i32' | 'u32' | 'f64' | 'i64';
  /** Whether an inline codec can carry the value exactly; cheap, since each `put` asks. Otherwise see `refuse`. */
  accepts?(value: T): boolean;
  /**
   * Writes `value` into `into` from byte `at`, and returns the position behind it, or -1 when there is not enough room
   * before `end`: the caller then calls again with more. Bytes of `into` behind the returned position may have changed.
   *
   * @throws {CodecError} when the value cannot be carried.
   */
  encode(value: T, into: Buffer, at: number, end: number): number;
  /** Reads the bytes from `at` up to `end`. They are used again afterwards, so nothing returned may be a view of them. */
  decode(from: Buffer, at: number, end: number): T;
  /** Bytes that the value takes at the most, where that is known without a look at all of it. */
  size?(value: T): number;
  /** The same codec for a queue in `region`; for codecs that must know it. */
  bind?(region: Region): Codec<T>;
}

/** Throws the error for a value that `codec` does not accept. */
export function refuse(codec: { readonly name: string; readonly carries?: string }, value: unknown): never {
  const shown = inspect(value, {
    depth: 0,
    breakLength: Number.POSITIVE_INFINITY,
    maxArrayLength: 3,
    maxStringLength: 40,
  });
  throw new CodecError(codec.name, `carries ${codec.carries ?? 'other values'}, not ${shown}`);
}

/** A codec for values that travel inside the slot. `encode` and `decode` serve where there is no slot. */
function inline<T extends number | bigint>(
  name: 'i32' | 'u32' | 'f64' | 'i64',
  carries: string,
  accepts: (value: T) => boolean,
  write: (into: Buffer, at: number, value: T) => number,
  decode: (from: Buffer, at: number) => T,
): Codec<T> {
  const bytes = name.endsWith('32') ? 4 : 8;
  return {
    name,
    carries,
    inline: name,
    accepts,
    encode(value, into, at, end) {
      if (!accepts(value)) refuse(this, value);
      return at + bytes > end ? FULL : write(into, at, value);
    },
    decode,
  };
}

const i32: Codec<number> = inline(
  'i32',
  'whole numbers from -2147483648 to 2147483647 (-0 is not one)',
  (value) => typeof value === 'number' && Object.is(value | 0, value),
  (into, at, value) => into.writeInt32LE(value, at),
  (from, at) => from.readInt32LE(at),
);

const u32: Codec<number> = inline(
  'u32',
  'whole numbers from 0 to 4294967295 (-0 is not one)',
  (value) => typeof value === 'number' && Object.is(value >>> 0, value),
  (into, at, value) => into.writeUInt32LE(value, at),
  (from, at) => from.readUInt32LE(at),
);

const f64: Codec<number> = inline(
  'f64',
  'numbers',
  (value) => typeof value === 'number',
  (into, at, value) => into.writeDoubleLE(value, at),
  (from, at) => from.readDoubleLE(at),
);

const i64: Codec<bigint> = inline(
  'i64',
  'bigints from -2^63 to 2^63 - 1',
  (value) => typeof value === 'bigint' && BigInt.asIntN(64, value) === value,
  (into, at, value) => into.writeBigInt64LE(value, at),
  (from, at) => from.readBigInt64LE(at),
);

/** What a Uint8Array holds was moved elsewhere; it looks empty. */
function isDetached(bytes: Uint8Array): boolean {
  try {
    return bytes.length === 0 && new Uint8Array(bytes.buffer).length < 0;
  } catch {
    return true;
  }
}

/** A codec that is also a function, which makes the field of a struct. */
function withField<T, F extends 'bytes' | 'string'>(
  field: F,
  carried: Codec<T>,
): Codec<T> & ((bytes: number) => readonly [F, number]) {
  const make = (length: number): readonly [F, number] => [field, length];
  const own = { ...carried, bind: undefined }; // `bind` of a codec means something else than that of a function
  return Object.defineProperties(make, Object.getOwnPropertyDescriptors(own)) as unknown as typeof make & Codec<T>;
}

/** A typed array of so many bytes needs no memory beside itself, and is made many times as fast. */
const SMALL_BYTES = 64;

let source: Buffer | undefined; // what was read last,
let whole: Uint8Array; // and the same as a plain array, as what is cut from it

function smallCopy(from: Buffer, at: number, end: number): Uint8Array {
  if (from !== source) {
    source = from;
    whole = new Uint8Array(from.buffer, from.byteOffset, from.length);
  }
  return whole.slice(at, end);
}

const bytes = withField<Uint8Array, 'bytes'>('bytes', {
  name: 'bytes',
  carries: 'Uint8Arrays (a Buffer is one) whose memory was not transferred elsewhere',
  size: (value) => (types.isUint8Array(value) ? value.length : 0),
  encode(value, into, at, end) {
    if (!types.isUint8Array(value) || isDetached(value)) refuse(this, value);
    if (at + value.length > end) return FULL;
    into.set(value, at);
    return at + value.length;
  },
  decode(from, at, end) {
    if (end - at <= SMALL_BYTES) return smallCopy(from, at, end);
    if (end - at >= LARGE) keepFreedMemory();
    const copy = new Uint8Array(Buffer.allocUnsafeSlow(end - at).buffer); // not zeroed before it is written
    from.copy(copy, 0, at, end);
    return copy;
  },
});

const string = withField<string, 'string'>('string', {
  name: 'string',
  carries: 'strings',
  encode(value, into, at, end) {
    if (typeof value !== 'string') refuse(this, value);
    return putText(into, at, end, value);
  },
  decode: (from, at) => new Reader(from, at).take() as string,
});

/** The JSON text of a value, or a CodecError where there is none. */
function jsonOf(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new CodecError('json', `cannot carry the value: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
  return text ?? refuse(json, value);
}

const json: Codec<unknown> = {
  name: 'json',
  carries: 'values that JSON.stringify turns into text',
  encode: (value, into, at, end) => putText(into, at, end, jsonOf(value)),
  decode: (from, at) => JSON.parse(new Reader(from, at).take() as string),
};

/**
 * A codec of your own, for `codec.define`. Its functions may not keep what they are handed: it is memory of the region.
 */
export interface Definition<T> {
  /** By which other threads know it. */
  readonly name: string;
  /** Bytes that the value takes at the most. */
  size(value: T): number;
  /** Writes the value into `target`, which has `size(value)` bytes, from its start; returns how many bytes it wrote. */
  encode(value: T, target: Buffer): number;
  /** The value of these bytes, as many as `encode` returned; it may not refer to them. */
  decode(source: Buffer): T;
}

/** @internal What this thread has defined, by its names. */
export const definitions: Map<string, Codec<unknown>> = new Map();

function define<T>(definition: Definition<T>): Codec<T> {
  const { name } = definition ?? {};
  for (const part of ['size', 'encode', 'decode'] as const) {
    if (typeof definition?.[part] !== 'function') {
      throw new TypeError(`definition.${part} must be a function: got ${show(definition?.[part])}`);
    }
  }
  if (typeof name !== 'string' || name === '') {
    throw new TypeError(`definition.name must be a string of at least one character: got ${show(name)}`);
  }
  if (name in codec || definitions.has(name)) {
    throw new TypeError(`definition.name must be one that is not taken: got ${show(name)}`);
  }
  const defined = carefully(definition);
  definitions.set(name, defined as Codec<unknown>);
  return defined;
}

/** The codec of a definition: what is written stays within its bounds, and what is thrown is a CodecError. */
function carefully<T>(definition: Definition<T>): Codec<T> {
  const { name } = definition;
  const attempt = <R>(what: string, run: () => R): R => {
    try {
      return run();
    } catch (cause) {
      if (cause instanceof CodecError) throw cause;
      throw new CodecError(name, `cannot ${what}: ${cause instanceof Error ? cause.message : cause}`, { cause });
    }
  };
  const size = (value: T): number => {
    const bytes = attempt('tell the size of the value', () => definition.size(value));
    if (!Number.isInteger(bytes) || bytes < 0) {
      throw new CodecError(name, `must give a size of 0 or more whole bytes: got ${show(bytes)}`);
    }
    return bytes;
  };
  return {
    name,
    size,
    encode(value, into, at, end) {
      const most = size(value);
      if (at + most > end) return FULL;
      const written = attempt('encode the value', () => definition.encode(value, into.subarray(at, at + most)));
      if (!Number.isInteger(written) || written < 0 || written > most) {
        throw new CodecError(
          name,
          `must write from 0 to ${most} bytes, its size, and return how many: got ${show(written)}`,
        );
      }
      return at + written;
    },
    decode: (from, at, end) => attempt('decode the value', () => definition.decode(from.subarray(at, end))),
  };
}

/**
 * The codecs of this library. The narrower one is the faster one.
 *
 * | codec | carries | what arrives |
 * |---|---|---|
 * | `i32`, `u32`, `f64` | numbers of that range, exactly; -0 only by `f64` | the same number |
 * | `i64` | bigints from -2^63 to 2^63 - 1 | the same bigint |
 * | `bytes` | `Uint8Array`, `Buffer` | a plain `Uint8Array` with a copy of the bytes |
 * | `string` | any string, lone surrogates too | the same string |
 * | `json` | what `JSON.stringify` turns into text | what `JSON.parse` makes of that text |
 * | `struct({…})` | objects of these fields, each exactly; see below | a plain object, or a view |
 * | `define({…})` | what a program defines | what it makes of the bytes |
 * | `any` (the default) | what `structuredClone` carries of the language | what `structuredClone` returns |
 *
 * `any` carries cycles, Map, Set, Date, BigInt, typed arrays, Error and so on, and class instances as plain objects. It
 * refuses functions, symbols, proxies, objects of the platform (Blob, URL, MessagePort), and more than 1000 objects within
 * objects. Shared objects (a Mutex, a Queue) anywhere in the value arrive live, and so do views of the region's memory.
 * Trees of text, numbers, dates, arrays and ordinary objects take a way many times shorter than the rest, where getters
 * may be called more than once. As with `structuredClone`, a small `Buffer` brings along the pool that Node cut it from: use
 * `bytes`, or a `Uint8Array` of its own.
 *
 * A value that the codec cannot carry makes `put` throw `CodecError`, and nothing is sent.
 *
 * @example
 * const prices = new Queue({ capacity: 1024, codec: codec.f64 });
 */
export const codec: {
  readonly i32: Codec<number>;
  readonly u32: Codec<number>;
  readonly f64: Codec<number>;
  readonly i64: Codec<bigint>;
  /** `codec.bytes(n)` is a field of a struct: exactly n bytes. */
  readonly bytes: Codec<Uint8Array> & ((bytes: number) => readonly ['bytes', number]);
  /** `codec.string(n)` is a field of a struct: a string of at most n bytes in UTF-8. */
  readonly string: Codec<string> & ((bytes: number) => readonly ['string', number]);
  readonly json: Codec<unknown>;
  readonly any: Codec<unknown>;
  /**
   * Objects of a fixed layout: many times as fast as `any`, and without any memory for each item by `queue.produce` and
   * `queue.consume`. Other threads know the layout with the queue. The table of fields is in ../queue/struct.ts: `i8` to `u64`
   * (`i64` and `u64` are bigints), `f32` (rounds), `f64`, `bool`, `codec.string(bytes)`, `codec.bytes(n)`, lists such as
   * `['f64', 3]` (a Float64Array), and structs; at most 2,040 bytes in all. An object must have exactly these fields.
   *
   * A value out of range or of the wrong type, a string that is too long, a field too many or too few: CodecError, which
   * names the field, and nothing is sent. Throws TypeError and RangeError for fields that cannot be meant.
   *
   * @example
   * const trade = codec.struct({ id: 'u32', price: 'f64', side: 'u8', symbol: codec.string(16) });
   * const trades = new Queue({ capacity: 1024, codec: trade });
   * trades.put({ id: 1, price: 9.5, side: 0, symbol: 'TEA' });
   * trades.get().price; // 9.5
   */
  readonly struct: typeof struct;
  /**
   * A codec of your own. Each thread that uses such a queue must have defined it before the queue arrives: put the call
   * at the top of a module that all of them import. A thread that has not gets CodecError when it attaches the queue.
   * Throws TypeError for a name that is taken in this thread, and for what is no definition.
   *
   * @example
   * const point = codec.define<[number, number]>({
   *   name: 'point',
   *   size: () => 8,
   *   encode: ([x, y], target) => target.writeInt32LE(y, target.writeInt32LE(x, 0)),
   *   decode: (source) => [source.readInt32LE(0), source.readInt32LE(4)],
   * });
   * const points = new Queue({ capacity: 100, codec: point });
   */
  readonly define: typeof define;
} = { i32, u32, f64, i64, bytes, string, json, any: new AnyCodec(), struct, define };
