import { types } from 'node:util';
import type { Region } from '../memory/region.ts';
import { isReference, putReference, REFERENCE_BYTES, takeReference } from './reference.ts';

// Plain data in bytes: text, numbers, dates, trees of arrays and objects, and what travels as a reference. It is
// written straight into a block and read straight from it. All the rest is V8's affair (any.ts), so this file need not
// know the whole language. It must only be certain of what it takes; a getter cannot deceive it, since it checks the very
// item that it writes. A value is a tag byte and what the tag calls for; nothing refers to another message.

/** Returned in place of a position: there is not enough room. */
export const FULL = -1;
/** Returned in place of a position: the value is not plain. */
export const NOT_PLAIN = -2;

const NULL = 0;
const UNDEFINED = 1;
const FALSE = 2;
const TRUE = 3;
const I32 = 4;
const F64 = 5;
const I64 = 6;
const LATIN1 = 7;
const UTF16 = 8;
const DATE = 9;
const ARRAY = 10;
const OBJECT = 11;
const REFERENCE = 12;

/** More objects within objects are refused: V8 needs more stack to read than to write, and workers have more than others. */
export const MAX_DEPTH = 1000;
/** Text up to this length is faster to copy in a loop than by a call into Buffer. */
export const SHORT = 24;
/** A tag and a count take no more than this. */
const HEAD = 6;

/** One byte up to 254, five beyond. The caller has made sure of the room. */
function putCount(into: Buffer, at: number, count: number): number {
  if (count > 254) into.writeUInt32LE(count, at + 1);
  into[at] = Math.min(count, 255);
  return count > 254 ? at + 5 : at + 1;
}

/** As `putText`, for Latin-1 of up to SHORT characters; NOT_PLAIN for other text. */
function putShort(into: Buffer, at: number, text: string): number {
  const start = at + 2;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 255) return NOT_PLAIN;
    into[start + i] = unit;
  }
  into[at] = LATIN1;
  into[at + 1] = text.length;
  return start + text.length;
}

/**
 * Writes any string exactly, lone surrogates included, as Latin-1 or UTF-16. UTF-8 never paid: one character beyond
 * ASCII makes its reading twenty times as slow as that of UTF-16.
 */
export function putText(into: Buffer, at: number, end: number, text: string): number {
  const length = text.length;
  if (at + HEAD + length > end) return FULL;
  if (length <= SHORT) {
    const position = putShort(into, at, text);
    if (position !== NOT_PLAIN) return position;
  } else if (Buffer.byteLength(text) === length) {
    // As many bytes in UTF-8 as characters: ASCII. There is no quick question for Latin-1.
    into[at] = LATIN1;
    const start = putCount(into, at + 1, length);
    return start + into.write(text, start, length, 'latin1');
  }
  if (at + HEAD + length * 2 > end) return FULL;
  into[at] = UTF16;
  const start = putCount(into, at + 1, length * 2);
  return start + into.write(text, start, length * 2, 'utf16le');
}

/** Writes one value. Each message has a writer of its own, since a getter in the value may itself send something. */
export class Writer {
  readonly #into: Buffer;
  readonly #end: number;
  readonly #region: Region | undefined;
  /** The objects that were met: most messages have one, which needs no set. */
  #first: object | undefined;
  #met: Set<object> | undefined;

  constructor(into: Buffer, end: number, region: Region | undefined) {
    this.#into = into;
    this.#end = end;
    this.#region = region;
  }

  /** Returns the position behind the value, FULL or NOT_PLAIN. */
  put(at: number, value: unknown, depth = 0): number {
    if (typeof value === 'string') return putText(this.#into, at, this.#end, value);
    if (typeof value === 'number') return this.#putNumber(at, value);
    if (typeof value === 'object' && value !== null) return this.#putObject(at, value, depth);
    if (typeof value === 'bigint') return this.#putBigInt(at, value);
    if (at >= this.#end) return FULL;
    if (value === null) this.#into[at] = NULL;
    else if (value === undefined) this.#into[at] = UNDEFINED;
    else if (typeof value === 'boolean') this.#into[at] = value ? TRUE : FALSE;
    else return NOT_PLAIN;
    return at + 1;
  }

  #putNumber(at: number, value: number): number {
    if (!Object.is(value | 0, value)) return this.#putF64(at, F64, value);
    if (at + 5 > this.#end) return FULL;
    this.#into[at] = I32;
    return this.#into.writeInt32LE(value, at + 1);
  }

  #putF64(at: number, tag: number, value: number): number {
    if (at + 9 > this.#end) return FULL;
    this.#into[at] = tag;
    return this.#into.writeDoubleLE(value, at + 1);
  }

  #putBigInt(at: number, value: bigint): number {
    if (BigInt.asIntN(64, value) !== value) return NOT_PLAIN;
    if (at + 9 > this.#end) return FULL;
    this.#into[at] = I64;
    return this.#into.writeBigInt64LE(value, at + 1);
  }

  #putObject(at: number, value: object, depth: number): number {
    if (depth === MAX_DEPTH || types.isProxy(value) || this.#isMet(value)) return NOT_PLAIN;
    if (at + 1 + REFERENCE_BYTES > this.#end) return FULL;
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Object.prototype) return this.#putRecord(at, value as Record<string, unknown>, depth + 1);
    if (prototype === Array.prototype) return this.#putArray(at, value as unknown[], depth + 1);
    if (types.isDate(value)) return this.#putF64(at, DATE, Date.prototype.getTime.call(value));
    if (!isReference(value, this.#region)) return NOT_PLAIN;
    this.#into[at] = REFERENCE;
    return putReference(this.#into, at + 1, value);
  }

  /** Plain data is a tree: an object that is met twice is shared by two parents, or its own ancestor. */
  #isMet(value: object): boolean {
    if (!this.#first) {
      this.#first = value;
      return false;
    }
    this.#met ??= new Set([this.#first]);
    return this.#met.size === this.#met.add(value).size;
  }

  #putRecord(at: number, value: Record<string, unknown>, depth: number): number {
    if (Object.prototype.toString.call(value) !== '[object Object]') return NOT_PLAIN;
    const keys = Object.keys(value);
    this.#into[at] = OBJECT;
    let position = putCount(this.#into, at + 1, keys.length);
    for (let i = 0; i < keys.length && position >= 0; i++) {
      const key = keys[i] as string;
      const item = value[key];
      // The reader sets properties by assignment; and a getter may have removed what comes after it.
      if (key === '__proto__' || (item === undefined && !Object.hasOwn(value, key))) return NOT_PLAIN;
      position = putText(this.#into, position, this.#end, key);
      if (position >= 0) position = this.put(position, item, depth);
    }
    return position;
  }

  #putArray(at: number, value: unknown[], depth: number): number {
    const length = value.length;
    // Fewer values than places: there are holes. More: there are properties beside the items.
    if (!Array.isArray(value) || Object.values(value).length !== length) return NOT_PLAIN;
    this.#into[at] = ARRAY;
    let position = putCount(this.#into, at + 1, length);
    for (let i = 0; i < length && position >= 0; i++) {
      const item = value[i];
      if (item === undefined && !Object.hasOwn(value, i)) return NOT_PLAIN;
      position = this.put(position, item, depth);
    }
    return position;
  }
}

/** Keys, and words such as "open", come again with each message: short text is kept here, and found by its bytes. */
const words: string[] = new Array(1024).fill('');

/** Latin-1 of up to SHORT characters. */
export function takeShort(from: Buffer, at: number, length: number): string {
  let hash = length;
  for (let i = 0; i < length; i++) hash = (Math.imul(hash, 31) + (from[at + i] as number)) & 1023;
  const word = words[hash] as string;
  let same = word.length === length;
  for (let i = 0; same && i < length; i++) same = word.charCodeAt(i) === from[at + i];
  if (!same) words[hash] = textOf(from, at, length);
  return words[hash] as string;
}

/** An array for the characters of a text of each length up to SHORT. */
const units: number[][] = Array.from({ length: SHORT + 1 }, (_, length) => new Array(length).fill(0));

/** V8 makes a short text of its characters in half the time that a Buffer needs. */
function textOf(from: Buffer, at: number, length: number): string {
  const these = units[length] as number[];
  for (let i = 0; i < length; i++) these[i] = from[at + i] as number;
  return String.fromCharCode(...these);
}

/** Reads what `Writer` and `putText` wrote; nothing that it returns is a view of `from`. */
export class Reader {
  readonly #from: Buffer;
  readonly #region: Region | undefined;
  #at: number;

  constructor(from: Buffer, at: number, region?: Region) {
    this.#from = from;
    this.#at = at;
    this.#region = region;
  }

  take(): unknown {
    const from = this.#from;
    const tag = from[this.#at++];
    if (tag === LATIN1) return this.#takeLatin1();
    if (tag === I32) return from.readInt32LE(this.#skip(4));
    if (tag === F64) return from.readDoubleLE(this.#skip(8));
    if (tag === OBJECT) return this.#takeRecord();
    if (tag === ARRAY) return this.#takeArray();
    if (tag === UTF16) return this.#takeText('utf16le', this.#takeCount());
    if (tag === NULL) return null;
    if (tag === UNDEFINED) return undefined;
    if (tag === FALSE) return false;
    if (tag === TRUE) return true;
    if (tag === I64) return from.readBigInt64LE(this.#skip(8));
    if (tag === DATE) return new Date(from.readDoubleLE(this.#skip(8)));
    // A writer that knows no region writes no reference.
    return takeReference(from, this.#skip(REFERENCE_BYTES), this.#region!);
  }

  /** Goes `bytes` further; returns where it was. */
  #skip(bytes: number): number {
    const at = this.#at;
    this.#at = at + bytes;
    return at;
  }

  #takeCount(): number {
    const count = this.#from[this.#at++] as number;
    return count < 255 ? count : this.#from.readUInt32LE(this.#skip(4));
  }

  #takeText(encoding: 'latin1' | 'utf16le', bytes: number): string {
    const at = this.#skip(bytes);
    return this.#from.toString(encoding, at, at + bytes);
  }

  #takeLatin1(): string {
    const length = this.#takeCount();
    if (length > SHORT) return this.#takeText('latin1', length);
    return takeShort(this.#from, this.#skip(length), length);
  }

  #takeRecord(): Record<string, unknown> {
    const record: Record<string, unknown> = {};
    for (let count = this.#takeCount(); count > 0; count--) record[this.take() as string] = this.take();
    return record;
  }

  #takeArray(): unknown[] {
    const array: unknown[] = [];
    for (let count = this.#takeCount(); count > 0; count--) array.push(this.take());
    return array;
  }
}
