/**
 * Handles: what crosses `postMessage` in place of a shared object, and how it comes back to life.
 */
import { KIND_ARRAY, KIND_REGION, OBJECT_NAME, VERSION } from '../kernel/layout.ts';
import { InvalidHandleError, requireOptions, show } from './errors.ts';
import { type Place, Region, type TypedArrayConstructor } from './region.ts';

/** A structured-cloneable copy of a value whose shared objects became handles; `attach` is the way back. */
export type Shared<T> = { readonly [shared]?: T };
declare const shared: unique symbol;

/** Options that every shared object takes. */
export interface SharedObjectOptions {
  /** Where it lives; `Region.current` by default. */
  region?: Region | undefined;
  /** Shows in errors; its first 47 bytes are kept. */
  name?: string | undefined;
}

/** Where a new object goes, and its name. Throws TypeError for what cannot be meant. */
export function placement(options: SharedObjectOptions): { region: Region; name: string } {
  requireOptions(options);
  const { region = Region.current, name = '' } = options;
  if (!(region instanceof Region)) throw new TypeError(`region must be a Region: got ${show(region)}`);
  if (typeof name !== 'string') throw new TypeError(`name must be a string: got ${show(name)}`);
  return { region, name };
}

/** Everything that lives in a region and can be shared. */
export abstract class SharedObject implements Place {
  readonly region: Region;
  /** @internal */ readonly offset: number;
  /** @internal */ readonly serial: number;
  /** @internal */ abstract readonly kind: number;

  /** @internal */
  constructor(place: Place) {
    this.region = place.region;
    this.offset = place.offset;
    this.serial = place.serial;
  }

  /** The name that was given, or ''. */
  get name(): string {
    return this.region.buffer[this.offset + OBJECT_NAME] ? this.region.nameAt(this.offset) : '';
  }

  /**
   * Returns the memory to the region; any later use, in any thread, throws InvalidHandleError, and so do the waits of this
   * thread. Nobody else may be in the middle of an operation on it.
   */
  free(): void {
    this.region.free(this);
  }

  /** @internal Kind and name, for messages. */
  get title(): string {
    return `${this.constructor.name.toLowerCase()}${this.name ? ` "${this.name}"` : ` at ${this.offset}`}`;
  }
}

/** A place that was looked up and is alive; marks the constructors' way for `attach`. */
export class LivePlace implements Place {
  readonly region: Region;
  readonly offset: number;
  readonly serial: number;

  constructor({ region, offset, serial }: Place) {
    this.region = region;
    this.offset = offset;
    this.serial = serial;
  }
}

const classes = new Map<number, (place: LivePlace) => SharedObject>();

/** Tells how objects of a kind come back to life. */
export function revives(kind: number, make: (place: LivePlace) => SharedObject): void {
  classes.set(kind, make);
}

/** The live object at a place of a region. Throws InvalidHandleError. */
export function revive(region: Region, offset: number, kind: number, serial: number): SharedObject {
  const make = classes.get(kind);
  if (!make) throw new InvalidHandleError(`no class is known for objects of kind ${kind}`);
  return make(new LivePlace(region.find(kind, offset, serial)));
}

/** The key by which a handle is known among the plain objects of a value. */
const MARK = 'ringfence.handle';

interface Handle {
  readonly [MARK]: number;
  readonly memory: WebAssembly.Memory;
  readonly kind: number;
  readonly offset: number;
  readonly serial: number;
  readonly type?: string;
  readonly length?: number;
}

/**
 * A copy of `value` that `postMessage` and `workerData` can carry: each shared object, region or array of a region inside
 * objects, arrays, Maps and Sets becomes its handle. A value without any is returned as it is.
 *
 * @example
 * new Worker(url, { workerData: share({ queue, mutex, limits: [1, 2] }) });
 */
export function share<T>(value: T): Shared<T> {
  return convert(value, toHandle, new Map()) as Shared<T>;
}

/**
 * The reverse of `share`, in any thread: each handle becomes a live object of its class, and the thread is registered with
 * the regions. Throws InvalidHandleError for a handle that is forged, stale or of another version, TooManyThreadsError.
 *
 * @example
 * const { queue, mutex, limits } = attach(workerData);
 */
export function attach<T>(value: Shared<T>): T {
  return convert(value, fromHandle, new Map()) as T;
}

function toHandle(value: object): unknown {
  if (value instanceof SharedObject) {
    const { region, kind, offset, serial } = value;
    region.check(value);
    return { [MARK]: VERSION, memory: region.memory, kind, offset, serial } satisfies Handle;
  }
  if (value instanceof Region) {
    return { [MARK]: VERSION, memory: value.memory, kind: KIND_REGION, offset: 0, serial: 0 } satisfies Handle;
  }
  return ArrayBuffer.isView(value) && value.buffer instanceof SharedArrayBuffer ? arrayHandle(value) : undefined;
}

/** An array of a region of this thread; any other shared array needs no handle. */
function arrayHandle(view: ArrayBufferView): Handle | undefined {
  const region = Region.owning(view.buffer as unknown as SharedArrayBuffer);
  if (!region) return undefined;
  const type = view.constructor.name;
  const length = view.byteLength / ((view as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1);
  const { memory } = region;
  return { [MARK]: VERSION, memory, kind: KIND_ARRAY, offset: view.byteOffset, serial: 0, type, length };
}

function fromHandle(value: object): unknown {
  if (!(MARK in value)) return undefined;
  const handle = value as Handle;
  if (handle[MARK] !== VERSION) {
    throw new InvalidHandleError(`a handle of layout ${show(handle[MARK])}, this library has ${VERSION}`);
  }
  const region = Region.of(handle.memory);
  if (handle.kind === KIND_REGION) return region;
  if (handle.kind === KIND_ARRAY) return reviveArray(region, handle);
  return revive(region, handle.offset, handle.kind, handle.serial);
}

/** A view of the region's bytes, as `share` found it. Throws InvalidHandleError. */
export function reviveArray(region: Region, { type = '', offset = -1, length = -1 }: Partial<Handle>): ArrayBufferView {
  const known = /^(?:Big)?(?:Uint|Int|Float)\d+(?:Clamped)?Array$|^DataView$|^Buffer$/.test(type);
  const make = known ? ((globalThis as Record<string, unknown>)[type] as TypedArrayConstructor) : undefined;
  if (!make) throw new InvalidHandleError(`no array type ${show(type)}`);
  const bytes = length * (type === 'Buffer' ? 1 : (make.BYTES_PER_ELEMENT ?? 1));
  const whole =
    Number.isInteger(length) && length >= 0 && Number.isInteger(offset) && offset % (bytes / length || 1) === 0;
  if (!whole || !region.pieces.holdsArray(offset, bytes)) {
    throw new InvalidHandleError(`no ${type} of ${length} elements at offset ${offset} of the region`);
  }
  const buffer = region.memory.buffer;
  if (type === 'Buffer') return Buffer.from(buffer as unknown as ArrayBuffer, offset, length);
  return new make(buffer, offset, length);
}

type Convert = (value: object) => unknown;

/** Replaces what `to` knows, deep in objects, arrays, Maps and Sets; copies only where something changed. */
function convert(value: unknown, to: Convert, seen: Map<object, unknown>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (!contains(value, to, new Set())) return value;
  return copy(value, to, seen);
}

function contains(value: unknown, to: Convert, seen: Set<object>): boolean {
  if (typeof value !== 'object' || value === null || seen.has(value)) return false;
  if (isHandled(value, to)) return true;
  seen.add(value);
  for (const part of partsOf(value)) if (contains(part, to, seen)) return true;
  return false;
}

function isHandled(value: object, to: Convert): boolean {
  return to === toHandle ? toHandle(value) !== undefined : isPlain(value) && MARK in value;
}

function partsOf(value: object): Iterable<unknown> {
  if (Array.isArray(value) || value instanceof Set) return value;
  if (value instanceof Map) return [...value.keys(), ...value.values()];
  return isPlain(value) ? Object.values(value) : [];
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function copy(value: unknown, to: Convert, seen: Map<object, unknown>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (seen.has(value)) return seen.get(value);
  const known = isHandled(value, to) ? to(value) : undefined;
  if (known !== undefined) {
    seen.set(value, known);
    return known;
  }
  const put = <V extends object>(made: V): V => {
    seen.set(value, made);
    return made;
  };
  if (Array.isArray(value)) {
    const made = put(new Array<unknown>(value.length));
    for (const key of Object.keys(value)) Reflect.set(made, key, copy(Reflect.get(value, key), to, seen));
    return made;
  }
  if (value instanceof Map) {
    const made = put(new Map<unknown, unknown>());
    for (const [key, part] of value) made.set(copy(key, to, seen), copy(part, to, seen));
    return made;
  }
  if (value instanceof Set) {
    const made = put(new Set<unknown>());
    for (const part of value) made.add(copy(part, to, seen));
    return made;
  }
  if (!isPlain(value)) return value;
  const made = put(Object.create(null) as Record<string, unknown>);
  for (const [key, part] of Object.entries(value)) made[key] = copy(part, to, seen);
  return Object.setPrototypeOf(made, Object.getPrototypeOf(value));
}
