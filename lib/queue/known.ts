/**
 * Which codec a queue or a broadcast has, written in the region: a number, and for the codecs of a program a text from which
 * every thread makes the same one, the fields of a struct or the name of what `codec.define` defined.
 */
import { CodecError, show } from '../memory/errors.ts';
import type { Region } from '../memory/region.ts';
import { type Codec, codec, definitions } from './codec.ts';
import { Struct, structOf } from './struct.ts';

/** The codecs of the library, by their numbers; the two behind them have a text. */
const CODECS: readonly unknown[] = [
  codec.any,
  codec.i32,
  codec.u32,
  codec.f64,
  codec.i64,
  codec.bytes,
  codec.string,
  codec.json,
];
const STRUCT = CODECS.length;
const DEFINED = STRUCT + 1;
const LENGTH_BYTES = 4;

/** A codec as every thread can be told it: plain data. */
export interface Known {
  readonly number: number;
  readonly text: string;
  /** How much memory of a region the text takes. */
  readonly bytes: number;
}

/** How others are told the codec; `codec.any` for undefined. Throws TypeError. */
export function knownAs(value: unknown = codec.any): Known {
  const text = value instanceof Struct ? value.text : nameOf(value);
  const bytes = text === '' ? 0 : LENGTH_BYTES + Buffer.byteLength(text);
  if (value instanceof Struct) return { number: STRUCT, text, bytes };
  const number = text ? DEFINED : CODECS.indexOf(value);
  if (number < 0) {
    throw new TypeError(`codec must be one of codec.*: got ${show(value)}`);
  }
  return { number, text, bytes };
}

/** Whether threads have to define it before they know it. */
export function isDefined({ number }: Known): boolean {
  return number === DEFINED;
}

function nameOf(value: unknown): string {
  const { name } = (value ?? {}) as Codec<unknown>;
  return definitions.get(name) === value ? name : '';
}

/** Writes the text to `at`, if there is one: where it is, or 0. */
export function putKnown({ buffer }: Region, { text, bytes }: Known, at: number): number {
  if (bytes === 0) return 0;
  buffer.writeUInt32LE(buffer.write(text, at + LENGTH_BYTES), at);
  return at;
}

/** The codec of that number, whose text is at `at`. Throws CodecError when this thread does not know it. */
export function codecOf<T>({ buffer }: Region, number: number, at: number): Codec<T> {
  if (number < STRUCT) return CODECS[number] as Codec<T>;
  const start = at + LENGTH_BYTES;
  return codecKnownAs({ number, text: buffer.toString('utf8', start, start + buffer.readUInt32LE(at)) });
}

/** The codec that is known so. Throws CodecError when this thread does not know it. */
export function codecKnownAs<T>({ number, text }: Pick<Known, 'number' | 'text'>): Codec<T> {
  if (number < STRUCT) return CODECS[number] as Codec<T>;
  if (number === STRUCT) return structOf(text) as unknown as Codec<T>;
  const defined = definitions.get(text);
  if (defined) return defined as Codec<T>;
  const how = 'import the module that calls codec.define before the queue arrives';
  throw new CodecError(text, `is not defined in this thread: ${how}`);
}
