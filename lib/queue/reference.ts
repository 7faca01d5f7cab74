import { CodecError } from '../memory/errors.ts';
import { revive, SharedObject } from '../memory/handles.ts';
import { Region } from '../memory/region.ts';

// What travels as a reference and arrives live: shared objects of the region, views of its memory, the region itself.

/** A reference always takes this many bytes: what it is, and three words that say where. */
export const REFERENCE_BYTES = 13;

/** What can travel as a reference. */
export type Referable = SharedObject | Region | NodeJS.ArrayBufferView;

const SHARED_OBJECT = 255;
const REGION = 254;
/** What a reference is otherwise: a view, by the place of its class in this list. Subclasses arrive as these. */
const VIEWS = [
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float16Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'DataView',
];

/**
 * Whether the value travels as a reference in a queue of `region`.
 *
 * @throws {CodecError} for what belongs to another region.
 * @throws {InvalidHandleError} for a shared object that was freed.
 */
export function isReference(value: object, region: Region | undefined): value is Referable {
  if (ArrayBuffer.isView(value)) return region !== undefined && value.buffer === region.memory.buffer;
  if (!(value instanceof SharedObject || value instanceof Region)) return false;
  const home = value instanceof Region ? value : value.region;
  if (home !== region) {
    const why = region === undefined ? 'outside a queue' : 'of another region';
    throw new CodecError('any', `cannot carry a ${value.constructor.name} ${why}`);
  }
  if (value instanceof SharedObject) region.check(value);
  return true;
}

/** Writes REFERENCE_BYTES; the caller has made sure of the room. Returns the position behind them. */
export function putReference(into: Buffer, at: number, value: Referable): number {
  if (value instanceof SharedObject) return putWords(into, at, SHARED_OBJECT, value.offset, value.kind, value.serial);
  if (value instanceof Region) return putWords(into, at, REGION, 0, 0, 0);
  const name = (value as { [Symbol.toStringTag]?: string })[Symbol.toStringTag] ?? '';
  return putWords(into, at, VIEWS.indexOf(name), value.byteOffset, value.byteLength, 0);
}

function putWords(into: Buffer, at: number, what: number, a: number, b: number, c: number): number {
  into[at] = what;
  into.writeUInt32LE(a, at + 1);
  into.writeUInt32LE(b, at + 5);
  return into.writeUInt32LE(c, at + 9);
}

/** Reads what `putReference` wrote. Throws InvalidHandleError when the shared object was freed meanwhile. */
export function takeReference(from: Buffer, at: number, region: Region): object {
  const [a, b, c] = [from.readUInt32LE(at + 1), from.readUInt32LE(at + 5), from.readUInt32LE(at + 9)];
  if (from[at] === SHARED_OBJECT) return revive(region, a, b, c);
  if (from[at] === REGION) return region;
  const View = Reflect.get(globalThis, VIEWS[from[at] as number] ?? '') as Uint8ArrayConstructor;
  // A DataView counts in bytes.
  return new View(region.memory.buffer, a, b / (View.BYTES_PER_ELEMENT ?? 1));
}
