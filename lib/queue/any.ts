import { types } from 'node:util';
import { Deserializer, Serializer } from 'node:v8';
import { CodecError, RingfenceError } from '../memory/errors.ts';
import type { Region } from '../memory/region.ts';
import { FULL, MAX_DEPTH, NOT_PLAIN, Reader, Writer } from './plain.ts';
import { isReference, putReference, REFERENCE_BYTES, type Referable, takeReference } from './reference.ts';

// The default codec. Plain data goes the short way (plain.ts). Everything else goes through V8's serializer, the very
// one that `structuredClone` uses, and is exact for that reason.

/** Stands where plain data has its tag. */
const BY_V8 = 255;

/** What V8 looks into when it writes the object, in its order. */
function contents(value: object): unknown[] {
  if (types.isMap(value)) return [...Map.prototype.entries.call(value)].flat();
  if (types.isSet(value)) return [...Set.prototype.values.call(value)];
  if (types.isNativeError(value)) return [value.cause];
  return ArrayBuffer.isView(value) ? [] : Object.values(value);
}

/** The built-in classes with a tag that V8 can write. */
const V8_WRITES = /^(Map|Set|BigInt|DataView|ArrayBuffer|SharedArrayBuffer|\w+Array)$/;

/**
 * Whether the value is an instance of another built-in class with a tag, such as Blob, URL or WebAssembly.Module.
 * V8 writes those of the platform as objects without properties, and some so that it cannot read them.
 */
function isForeign(value: object): boolean {
  const tag = Reflect.get(value, Symbol.toStringTag);
  if (typeof tag !== 'string' || V8_WRITES.test(tag)) return false;
  const named = tag.split('.').reduce((scope: unknown, name) => Object(scope)[name], globalThis);
  return typeof named === 'function' && value instanceof named;
}

/**
 * Counts what V8 needs help with: references into the region, and errors with an object for their cause.
 *
 * @throws {CodecError} for what V8 would write but could not read, or would lose.
 */
function survey(value: unknown, region: Region | undefined): { references: number; causes: number } {
  const found = { references: 0, causes: 0 };
  const met = new Set<unknown>();
  const rest = [value];
  const depths = [0];
  while (rest.length > 0) {
    const next = rest.pop();
    const depth = depths.pop() ?? 0;
    if (typeof next !== 'object' || next === null || met.size === met.add(next).size) continue;
    if (depth === MAX_DEPTH) throw new CodecError('any', `cannot carry more than ${MAX_DEPTH} objects within objects`);
    if (isForeign(next)) throw new CodecError('any', `cannot carry ${nameOf(next)}`);
    if (types.isNativeError(next) && typeof next.cause === 'object') found.causes++;
    if (isReference(next, region)) found.references++;
    else {
      for (const item of contents(next).reverse()) {
        rest.push(item);
        depths.push(depth + 1);
      }
    }
  }
  return found;
}

/**
 * Takes the place of what travels as a reference. V8 asks how to write an object only when the object has a native
 * part, so a stand-in must have one; a serializer is the smallest at hand.
 */
class StandIn extends Serializer {
  readonly for: Referable;

  constructor(original: Referable) {
    super();
    this.for = original;
  }
}

/** Objects that V8 writes without a look at their properties, or refuses. */
const SEALED: ((value: unknown) => boolean)[] = [
  types.isProxy,
  types.isDate,
  types.isRegExp,
  types.isBoxedPrimitive,
  types.isAnyArrayBuffer,
  ArrayBuffer.isView,
];

/** Copies a value for V8, with stand-ins for the references in it; the rest of the copy, V8 sees as it saw the value. */
class Copier {
  readonly #region: Region | undefined;
  readonly #copies = new Map<object, object>();

  constructor(region: Region | undefined) {
    this.#region = region;
  }

  copy(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value;
    const known = this.#copies.get(value);
    if (known !== undefined) return known;
    if (isReference(value, this.#region)) return this.#keep(value, new StandIn(value));
    if (SEALED.some((isSealed) => isSealed(value))) return value;
    if (types.isNativeError(value)) return this.#error(value);
    if (types.isMap(value)) return this.#map(value);
    if (types.isSet(value)) return this.#set(value);
    if (Array.isArray(value)) return this.#properties(value, new Array(value.length));
    // An object without properties holds no reference, and may be one that V8 refuses, such as a promise.
    return Object.keys(value).length === 0 ? value : this.#properties(value, {});
  }

  #keep<C extends object>(value: object, copy: C): C {
    this.#copies.set(value, copy);
    return copy;
  }

  #error(value: Error): Error {
    if (survey(value, this.#region).references === 0) return value;
    throw new CodecError('any', `cannot carry ${nameOf(value)} with a shared object in its cause`);
  }

  #map(value: Map<unknown, unknown>): Map<unknown, unknown> {
    const copy = this.#keep(value, new Map());
    for (const [key, item] of Map.prototype.entries.call(value)) copy.set(this.copy(key), this.copy(item));
    return copy;
  }

  #set(value: Set<unknown>): Set<unknown> {
    const copy = this.#keep(value, new Set());
    for (const item of Set.prototype.values.call(value)) copy.add(this.copy(item));
    return copy;
  }

  #properties(value: object, copy: object): object {
    this.#keep(value, copy);
    for (const [key, item] of Object.entries(value)) {
      // Not by assignment: the key may be __proto__.
      const property = { value: this.copy(item), writable: true, enumerable: true, configurable: true };
      Object.defineProperty(copy, key, property);
    }
    return copy;
  }
}

class V8Writer extends Serializer {
  /** Called by V8 for an object with a native part. */
  _writeHostObject(object: object): void {
    if (!(object instanceof StandIn)) throw new CodecError('any', `cannot carry ${nameOf(object)}`);
    const reference = Buffer.alloc(REFERENCE_BYTES);
    putReference(reference, 0, object.for);
    this.writeRawBytes(reference);
  }

  /** Called by V8 for shared memory, also for that of a view. */
  _getSharedArrayBufferId(): never {
    throw new CodecError('any', 'cannot carry shared memory, unless as a view of the memory of its region');
  }
}

class V8Reader extends Deserializer {
  readonly #region: Region | undefined;

  constructor(bytes: Uint8Array, region: Region | undefined) {
    super(bytes);
    this.#region = region;
    this.readHeader();
  }

  /** Called by V8 where `_writeHostObject` wrote. */
  _readHostObject(): object {
    return takeReference(this.readRawBytes(REFERENCE_BYTES), 0, this.#region!);
  }
}

function writeByV8(value: unknown, region: Region | undefined): Buffer {
  const { references, causes } = survey(value, region);
  const writer = new V8Writer();
  writer.writeHeader();
  writer.writeValue(references > 0 ? new Copier(region).copy(value) : value);
  const bytes = writer.releaseBuffer();
  // V8 writes an error whose cause leads back to it, but cannot read it: that must show before anything is sent.
  if (causes > 0) new V8Reader(bytes, region).readValue();
  return bytes;
}

function nameOf(object: object): string {
  return `#<${object.constructor?.name ?? 'Object'}>`;
}

/** See `codec.any`. */
export class AnyCodec {
  readonly name: string = 'any';
  readonly #region: Region | undefined;

  constructor(region?: Region) {
    this.#region = region;
  }

  bind(region: Region): AnyCodec {
    return new AnyCodec(region);
  }

  encode(value: unknown, into: Buffer, at: number, end: number): number {
    try {
      const position = new Writer(into, end, this.#region).put(at, value);
      if (position !== NOT_PLAIN) return position;
      const bytes = writeByV8(value, this.#region);
      if (at + 1 + bytes.length > end) return FULL;
      into[at] = BY_V8;
      return at + 1 + bytes.copy(into, at + 1);
    } catch (cause) {
      if (cause instanceof RingfenceError) throw cause;
      throw new CodecError('any', `cannot carry the value: ${cause instanceof Error ? cause.message : cause}`, {
        cause,
      });
    }
  }

  decode(from: Buffer, at: number, end: number): unknown {
    if (from[at] !== BY_V8) return new Reader(from, at, this.#region).take();
    return new V8Reader(from.subarray(at + 1, end), this.#region).readValue();
  }
}
