/**
 * Fields: the values in the records of a struct, each read and written at its place in the bytes.
 *
 * Nothing is generated from text, so a policy against `eval` does not matter: a field is a table of closures, which V8
 * inlines where a view is used.
 */
import { CodecError, NotOwnerError, show } from '../memory/errors.ts';
import { SHORT, takeShort } from './plain.ts';

/** The bytes that say how long a string is. */
export const LENGTH_BYTES = 2;

/** The arrays that a field of several numbers is. */
export interface Arrays {
  i8: Int8Array;
  u8: Uint8Array;
  i16: Int16Array;
  u16: Uint16Array;
  i32: Int32Array;
  u32: Uint32Array;
  f32: Float32Array;
  f64: Float64Array;
  i64: BigInt64Array;
  u64: BigUint64Array;
}

/** The bytes of one record. */
export class Raw {
  readonly data: DataView;
  readonly bytes: Buffer;
  /** Its arrays and its structs, by the number of their fields. */
  readonly parts: readonly unknown[];

  constructor(data: DataView, bytes: Buffer, parts: readonly unknown[]) {
    this.data = data;
    this.bytes = bytes;
    this.parts = parts;
  }
}

/** What is in the place of the bytes when a view is over: each access throws, and none pays for it before. */
export const OVER: Raw = new Raw(
  Object.defineProperties(
    new DataView(new ArrayBuffer(0)),
    Object.fromEntries(
      Object.getOwnPropertyNames(DataView.prototype)
        .filter((name) => /^[gs]et/.test(name))
        .map((name) => [name, { value: refuseUse }]),
    ),
  ),
  Buffer.alloc(0),
  [],
);

function refuseUse(): never {
  throw new NotOwnerError('the view of a record was used after the function to which it was handed had returned');
}

/** A type of single values. */
export interface Scalar<T = unknown> {
  readonly bytes: number;
  readonly carries: string;
  accepts(value: unknown): boolean;
  get(data: DataView, at: number): T;
  set(data: DataView, at: number, value: T): void;
  /** What shows V8 how the property of an object will look. */
  readonly zero: T;
}

type Get<T> = Scalar<T>['get'];
type Set<T> = Scalar<T>['set'];

function whole(bytes: number, least: number, most: number, get: Get<number>, set: Set<number>): Scalar<number> {
  const accepts = (value: unknown): boolean =>
    typeof value === 'number' &&
    Number.isInteger(value) &&
    value >= least &&
    value <= most &&
    (value !== 0 || Object.is(value, 0));
  return { bytes, carries: `whole numbers from ${least} to ${most} (-0 is not one)`, accepts, get, set, zero: 0 };
}

function float(bytes: number, how: string, get: Get<number>, set: Set<number>): Scalar<number> {
  return { bytes, carries: `numbers${how}`, accepts: (value) => typeof value === 'number', get, set, zero: 0.5 };
}

function big(least: bigint, most: bigint, get: Get<bigint>, set: Set<bigint>): Scalar<bigint> {
  const accepts = (value: unknown): boolean => typeof value === 'bigint' && value >= least && value <= most;
  return { bytes: 8, carries: `bigints from ${least} to ${most}`, accepts, get, set, zero: 0n };
}

/** The types of single values, by their names. */
export const SCALARS: Readonly<Record<string, Scalar>> = {
  i8: whole(
    1,
    -128,
    127,
    (d, at) => d.getInt8(at),
    (d, at, n) => d.setInt8(at, n),
  ),
  u8: whole(
    1,
    0,
    255,
    (d, at) => d.getUint8(at),
    (d, at, n) => d.setUint8(at, n),
  ),
  i16: whole(
    2,
    -32768,
    32767,
    (d, at) => d.getInt16(at, true),
    (d, at, n) => d.setInt16(at, n, true),
  ),
  u16: whole(
    2,
    0,
    65535,
    (d, at) => d.getUint16(at, true),
    (d, at, n) => d.setUint16(at, n, true),
  ),
  i32: whole(
    4,
    -(2 ** 31),
    2 ** 31 - 1,
    (d, at) => d.getInt32(at, true),
    (d, at, n) => d.setInt32(at, n, true),
  ),
  u32: whole(
    4,
    0,
    2 ** 32 - 1,
    (d, at) => d.getUint32(at, true),
    (d, at, n) => d.setUint32(at, n, true),
  ),
  f32: float(
    4,
    ', rounded to single precision',
    (d, at) => d.getFloat32(at, true),
    (d, at, n) => d.setFloat32(at, n, true),
  ),
  f64: float(
    8,
    '',
    (d, at) => d.getFloat64(at, true),
    (d, at, n) => d.setFloat64(at, n, true),
  ),
  i64: big(
    -(2n ** 63n),
    2n ** 63n - 1n,
    (d, at) => d.getBigInt64(at, true),
    (d, at, n) => d.setBigInt64(at, n, true),
  ),
  u64: big(
    0n,
    2n ** 64n - 1n,
    (d, at) => d.getBigUint64(at, true),
    (d, at, n) => d.setBigUint64(at, n, true),
  ),
  bool: {
    bytes: 1,
    carries: 'true and false',
    accepts: (value) => typeof value === 'boolean',
    get: (d, at) => d.getUint8(at) !== 0,
    set: (d, at, value) => d.setUint8(at, Number(value)),
    zero: false,
  } satisfies Scalar<boolean>,
};

export const ARRAYS: Readonly<
  Record<string, new (buffer: ArrayBuffer, at: number, length: number) => Arrays[keyof Arrays]>
> = {
  i8: Int8Array,
  u8: Uint8Array,
  bytes: Uint8Array,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  f32: Float32Array,
  f64: Float64Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
};

/** A field in its place. */
export interface Place {
  readonly name: string;
  readonly bytes: number;
  readonly align: number;
  readonly zero: unknown;
  /** Its value, as a view gives it. */
  read(raw: Raw): unknown;
  /** Its value, as an object holds it. */
  copy(raw: Raw): unknown;
  write(raw: Raw, value: unknown): void;
  /** The array or the struct that a view has for it, made once. */
  part?(buffer: ArrayBuffer, start: number): unknown;
}

/** How a field is declared, in a form that JSON keeps. */
export type Declared = string | readonly [string, number] | { readonly [name: string]: Declared };

function refuse(path: string, carries: string, value: unknown, more = ''): never {
  throw new CodecError('struct', `carries ${carries} in field ${path}, not ${show(value)}${more}`, { field: path });
}

export function scalarAt(path: string, type: string, at: number): Omit<Place, 'name'> {
  const { bytes, carries, accepts, get, set, zero } = SCALARS[type] as Scalar;
  const read = ({ data }: Raw): unknown => get(data, at);
  const write = ({ data }: Raw, value: unknown): void => {
    if (!accepts(value)) refuse(path, carries, value);
    set(data, at, value);
  };
  return { bytes, align: bytes, zero, read, copy: read, write };
}

export function textAt(path: string, most: number, at: number): Omit<Place, 'name'> {
  const start = at + LENGTH_BYTES;
  const read = ({ data, bytes }: Raw): string => {
    const length = data.getUint16(at, true);
    if (length > SHORT) return bytes.toString('utf8', start, start + length);
    for (let i = 0; i < length; i++) {
      if ((bytes[start + i] as number) > 127) return bytes.toString('utf8', start, start + length);
    }
    return takeShort(bytes, start, length);
  };
  const write = ({ data, bytes }: Raw, value: unknown): void => {
    if (typeof value !== 'string') refuse(path, 'strings', value);
    const length = value.length <= SHORT ? putAscii(bytes, start, most, value) : -1;
    data.setUint16(at, length < 0 ? putUtf8(bytes, start, most, value, path) : length, true);
  };
  return { bytes: LENGTH_BYTES + most, align: 2, zero: '', read, copy: read, write };
}

/** Writes short ASCII text; its length, or -1 for other text and what is too long. */
function putAscii(into: Buffer, at: number, most: number, text: string): number {
  if (text.length > most) return -1;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 127) return -1;
    into[at + i] = unit;
  }
  return text.length;
}

function putUtf8(into: Buffer, at: number, most: number, text: string, path: string): number {
  const length = Buffer.byteLength(text);
  if (length > most) refuse(path, `strings of at most ${most} bytes in UTF-8`, text, ` of ${length}`);
  if (!text.isWellFormed()) refuse(path, 'strings without lone surrogates', text);
  return into.write(text, at, length, 'utf8');
}

export function arrayAt(
  path: string,
  [type, length]: readonly [string, number],
  at: number,
  index: number,
): Omit<Place, 'name'> {
  const scalar = SCALARS[type === 'bytes' ? 'u8' : type] as Scalar;
  const View = ARRAYS[type] as NonNullable<(typeof ARRAYS)[string]>;
  const carries =
    type === 'bytes'
      ? `Uint8Arrays of exactly ${length} bytes`
      : `lists of ${length} items, each ${type}: ${scalar.carries}`;
  const read = ({ data, parts }: Raw): unknown => {
    data.getUint8(at); // throws when the view is over
    return parts[index];
  };
  const write = ({ data }: Raw, value: unknown): void => {
    const items = value as ArrayLike<unknown> | null | undefined;
    const whole = type === 'bytes' ? value instanceof Uint8Array : typeof items === 'object' && items !== null;
    if (!whole || items?.length !== length) refuse(path, carries, value);
    for (let i = 0; i < length; i++) {
      const item = items[i];
      if (!scalar.accepts(item)) refuse(`${path}[${i}]`, scalar.carries, item);
      scalar.set(data, at + i * scalar.bytes, item);
    }
  };
  const copy = ({ parts }: Raw): unknown => (parts[index] as Uint8Array).slice();
  const part = (buffer: ArrayBuffer, start: number): unknown => new View(buffer, start + at, length);
  return { bytes: length * scalar.bytes, align: scalar.bytes, zero: undefined, read, copy, write, part };
}
