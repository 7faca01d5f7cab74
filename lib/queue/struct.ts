/**
 * Structs: records of a fixed layout. Fields lie in the order in which they are declared, little-endian, each at a multiple
 * of its size, and the whole takes a multiple of 8 bytes, as in C:
 *
 * | field | bytes | at a multiple of |
 * |---|---|---|
 * | `i8` `u8` `bool`, `i16` `u16`, `i32` `u32` `f32`, `i64` `u64` `f64` | 1, 2, 4, 8 | as many |
 * | `['string', n]` | 2 for its length in bytes, then n for the UTF-8 | 2 |
 * | `['bytes', n]` | n | 1 |
 * | `['f64', n]` and so on | n times the number's | the number's |
 * | a struct | its own | 8 |
 */
import { inspect } from 'node:util';
import { CodecError, requireInteger, show } from '../memory/errors.ts';
import {
  ARRAYS,
  type Arrays,
  arrayAt,
  type Declared,
  LENGTH_BYTES,
  OVER,
  type Place,
  Raw,
  SCALARS,
  type Scalar,
  scalarAt,
  textAt,
} from './fields.ts';

/** What a field of a struct can be; `codec.string(n)` and `codec.bytes(n)` make the ones with a length. */
export type Field =
  | keyof Arrays
  | 'bool'
  | readonly ['string' | 'bytes' | keyof Arrays, number]
  | Struct<Readonly<Record<string, unknown>>>;

/** The value of a field. */
export type FieldValue<F> = F extends 'i64' | 'u64'
  ? bigint
  : F extends 'bool'
    ? boolean
    : F extends keyof Arrays
      ? number
      : F extends readonly ['string', number]
        ? string
        : F extends readonly ['bytes', number]
          ? Uint8Array
          : F extends readonly [infer A extends keyof Arrays, number]
            ? Arrays[A]
            : F extends Struct<infer T>
              ? T
              : never;

/** The plain object that a struct of these fields is. */
export type RecordOf<S> = { -readonly [K in keyof S]: FieldValue<S[K]> };

/**
 * A view of a record: its fields are read from its bytes and written into them; arrays and structs are views themselves. That of
 * bytes is an array.
 */
export type View<T> = T extends ArrayBufferView
  ? T
  : {
      -readonly [K in keyof T as T[K] extends object ? never : K]: T[K];
    } & {
      readonly [K in keyof T as T[K] extends object ? K : never]: View<T[K]>;
    };

/** @internal Where a field lies in the bytes of a struct, and what it is. */
export interface FieldLayout {
  /** Of a field of a struct in the struct with both names. */
  readonly name: string;
  readonly type: string;
  readonly at: number;
  readonly bytes: number;
}

/** Bytes that a struct can have at the most: what one batch of a thread has room for, less the word of a slot. */
const MAX_BYTES = 2040;
function structAt(
  path: string,
  declared: { readonly [name: string]: Declared },
  at: number,
  index: number,
): Omit<Place, 'name'> {
  const inner = new Struct(declared, `${path}.`);
  const read = ({ data, parts }: Raw): unknown => {
    data.getUint8(at); // throws when the view is over
    return parts[index];
  };
  return {
    bytes: inner.bytes,
    align: 8,
    zero: undefined,
    read,
    copy: ({ parts }) => inner.toObject(parts[index] as StructView),
    write: ({ parts }, value) => inner.write(parts[index] as StructView, value),
    part: (buffer, start) => inner.view(buffer, start + at),
  };
}

function placeOf(name: string, path: string, declared: Declared, at: number, index: number): Place {
  const aligned = (align: number) => Math.ceil(at / align) * align;
  if (typeof declared === 'string') {
    return { name, ...scalarAt(path, declared, aligned((SCALARS[declared] as Scalar).bytes)) };
  }
  if (!isTuple(declared)) return { name, ...structAt(path, declared, aligned(8), index) };
  const [type, length] = declared;
  if (type === 'string') return { name, ...textAt(path, length, aligned(LENGTH_BYTES)) };
  return { name, ...arrayAt(path, declared, aligned(SCALARS[type]?.bytes ?? 1), index) };
}

function isTuple(declared: Declared): declared is readonly [string, number] {
  return Array.isArray(declared);
}

/** The record as an object whose properties are its bytes. Each struct has a class of its own below this one. */
export class StructView {
  #raw: Raw;
  readonly #own: Raw;
  readonly #struct: Struct<unknown>;

  constructor(struct: Struct<unknown>, raw: Raw) {
    this.#own = raw;
    this.#raw = raw;
    this.#struct = struct;
  }

  /** Gives a class the properties for these fields. */
  static define(Class: typeof StructView, places: readonly Place[]): void {
    for (const { name, read, write } of places) {
      Object.defineProperty(Class.prototype, name, {
        enumerable: true,
        configurable: true,
        get(this: StructView) {
          return read(this.#raw);
        },
        set(this: StructView, value: unknown) {
          write(this.#raw, value);
        },
      });
    }
  }

  /** Its bytes; throws when it is over. */
  static rawOf(view: StructView): Raw {
    view.#raw.data.getUint8(0);
    return view.#raw;
  }

  /** Its bytes, also when it is over, for those who own it. */
  static ownOf(view: StructView): Raw {
    return view.#own;
  }

  /** What `value` is a view of, if it is one. */
  static structOf(value: object): Struct<unknown> | undefined {
    return #struct in value ? value.#struct : undefined;
  }

  /** From now on it can be used. */
  static open(view: StructView): void {
    view.#raw = view.#own;
  }

  /** From now on each use throws. */
  static close(view: StructView): void {
    view.#raw = OVER;
  }
}

Object.defineProperty(StructView.prototype, inspect.custom, {
  value(this: StructView): unknown {
    return StructView.structOf(this)?.toObject(this);
  },
});

/**
 * What `codec.struct` makes: a codec for objects of a fixed layout, and the class of their views. Records of a queue lie in
 * the slots of its ring; see `Queue.produce` and `Queue.consume`.
 */
export class Struct<T> {
  readonly name = 'struct';
  readonly carries: string;
  /** Bytes of a record, a multiple of 8. */
  readonly bytes: number;
  /** @internal Its fields as text, from which another thread makes the same struct. */
  readonly text: string;
  readonly #path: string; // of its fields, in a struct around it
  readonly #places: readonly Place[];
  readonly #names: readonly string[];
  readonly #template: Readonly<Record<string, unknown>>;
  readonly #View: typeof StructView;
  #spare: StructView | undefined;

  /** @internal */
  constructor(declared: { readonly [name: string]: Declared }, path = '') {
    this.#path = path;
    let at = 0;
    this.#places = Object.entries(declared).map(([name, field], index) => {
      const place = placeOf(name, `${path}${name}`, field, at, index);
      at = Math.ceil(at / place.align) * place.align + place.bytes;
      return place;
    });
    this.bytes = Math.ceil(at / 8) * 8;
    this.text = JSON.stringify(declared);
    this.#names = this.#places.map(({ name }) => name);
    this.carries = `objects with the fields ${this.#names.join(', ')}`;
    this.#template = Object.fromEntries(this.#places.map(({ name, zero }) => [name, zero]));
    this.#View = class extends StructView {};
    StructView.define(this.#View, this.#places);
  }

  /** @internal All its fields, those of structs in it one by one. */
  get layout(): readonly FieldLayout[] {
    let end = 0;
    const declared = Object.entries(JSON.parse(this.text) as { readonly [name: string]: Declared });
    return declared.flatMap(([name, field], index) => {
      const { align, bytes } = this.#places[index] as Place;
      const at = Math.ceil(end / align) * align;
      end = at + bytes;
      if (typeof field === 'string') return { name, type: field, at, bytes };
      if (isTuple(field)) return { name, type: `${field[0]}[${field[1]}]`, at, bytes };
      const inner = structOf(JSON.stringify(field)).layout;
      return inner.map((part) => ({ ...part, name: `${name}.${part.name}`, at: at + part.at }));
    });
  }

  /** A plain object with a copy of what the view shows. */
  toObject(view: View<T> | StructView): T {
    const raw = StructView.rawOf(view as StructView);
    const object: Record<string, unknown> = { ...this.#template };
    const places = this.#places;
    for (let i = 0; i < places.length; i++) {
      const place = places[i] as Place;
      object[place.name] = place.copy(raw);
    }
    return object as T;
  }

  /** @internal Writes the fields of an object, or of another view. Throws CodecError. */
  write(view: StructView, value: unknown): void {
    if (typeof value !== 'object' || value === null) {
      throw new CodecError('struct', `carries ${this.carries}, not ${show(value)}`);
    }
    const raw = StructView.ownOf(view);
    if (StructView.structOf(value) === this) {
      raw.bytes.set(StructView.rawOf(value as StructView).bytes);
      return;
    }
    if (Object.keys(value).length !== this.#places.length) this.#refuseUnknown(value);
    const places = this.#places;
    for (let i = 0; i < places.length; i++) {
      const place = places[i] as Place;
      place.write(raw, (value as Record<string, unknown>)[place.name]);
    }
  }

  /** A view of another struct has getters and no properties of its own; a class may have both. */
  #refuseUnknown(value: object): void {
    const unknown = Object.keys(value).find((name) => !this.#names.includes(name));
    if (unknown === undefined) return;
    const field = `${this.#path}${unknown}`;
    throw new CodecError('struct', `carries ${this.carries}, and has no field ${field}`, { field });
  }

  /** @internal A view of the record at byte `at`. */
  view(buffer: ArrayBuffer, at: number): StructView {
    const parts = this.#places.map((place) => place.part?.(buffer, at));
    const raw = new Raw(new DataView(buffer, at, this.bytes), Buffer.from(buffer, at, this.bytes), parts);
    return new this.#View(this as Struct<unknown>, raw);
  }

  /** As a codec: writes a record, if there is room for one. Throws CodecError. */
  encode(value: T, into: Buffer, at: number, end: number): number {
    if (at + this.bytes > end) return -1;
    const view = this.#take(); // aside: a getter may encode another one
    this.write(view, value);
    StructView.rawOf(view).bytes.copy(into, at);
    this.#spare = view;
    return at + this.bytes;
  }

  /** As a codec: reads a record. */
  decode(from: Buffer, at: number): T {
    const view = this.#take();
    from.copy(StructView.rawOf(view).bytes, 0, at, at + this.bytes);
    this.#spare = view;
    return this.toObject(view);
  }

  #take(): StructView {
    const view = this.#spare ?? this.view(new ArrayBuffer(this.bytes), 0);
    this.#spare = undefined;
    return view;
  }
}

const known = new Map<string, Struct<unknown>>();

/** @internal The struct of that text; one for each text, so that the views of a layout are of one class. */
export function structOf(text: string): Struct<unknown> {
  let struct = known.get(text);
  if (!struct) {
    struct = new Struct(JSON.parse(text));
    known.set(text, struct);
  }
  return struct;
}

/** Makes a struct; see `codec.struct`. */
export function struct<const S extends Readonly<Record<string, Field>>>(fields: S): Struct<RecordOf<S>> {
  if (typeof fields !== 'object' || fields === null)
    throw new TypeError(`fields must be an object: got ${show(fields)}`);
  const declared = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, declaredOf(name, field)]));
  if (Object.keys(declared).length === 0) throw new TypeError('fields must have at least one field: got none');
  const made = structOf(JSON.stringify(declared));
  if (made.bytes > MAX_BYTES) throw new RangeError(`fields must take at most ${MAX_BYTES} bytes: got ${made.bytes}`);
  return made as Struct<RecordOf<S>>;
}

function declaredOf(name: string, field: unknown): Declared {
  if (typeof field === 'string' && SCALARS[field]) return field;
  if (field instanceof Struct) return JSON.parse(field.text);
  const [type, length, ...more] = Array.isArray(field) ? field : [];
  if (more.length > 0 || !(type === 'string' || ARRAYS[type])) {
    const types = Object.keys(SCALARS).join(', ');
    throw new TypeError(
      `fields.${name} must be one of ${types}, codec.string(bytes), codec.bytes(n), a list of a type and a length, or a struct: got ${show(field)}`,
    );
  }
  requireInteger(`the length of fields.${name}`, length, 1, MAX_BYTES);
  return [type, length];
}
