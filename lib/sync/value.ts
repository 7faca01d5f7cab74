/**
 * Value: one number that all threads see, read and changed in one step. The steps: ../kernel/value.ts.
 */
import { KIND_VALUE, VALUE_BYTES, VALUE_TYPE } from '../kernel/layout.ts';
import { requireInteger, show } from '../memory/errors.ts';
import { LivePlace, placement, revives, SharedObject, type SharedObjectOptions } from '../memory/handles.ts';
import type { Kernel } from '../memory/kernel.ts';
import type { Place, Region } from '../memory/region.ts';

/** What a value may hold: whole numbers of 32 bits, signed or not, of 64 bits, or any number. */
export type ValueType = 'i32' | 'u32' | 'i64' | 'f64';

/** How a type appears in JavaScript. */
export type Scalar<T extends ValueType> = T extends 'i64' ? bigint : number;

/** Options of `new Value`. */
export interface ValueOptions<T extends ValueType = ValueType> extends SharedObjectOptions {
  /** What it holds. */
  type: T;
  /** What it holds at first; 0 by default. */
  initial?: Scalar<T> | undefined;
}

/** The order is part of the layout: VALUE_TYPE is an index. */
const VALUE_TYPES: readonly ValueType[] = ['i32', 'u32', 'i64', 'f64'];

/** The operations of one type on the word at an offset. */
interface Cell<N> {
  load(at: number): N;
  store(at: number, next: N): void;
  add(at: number, n: N): N;
  exchange(at: number, expected: N, next: N): N;
  /** Throws unless the type can hold it. */
  require(argument: string, value: unknown): void;
  /** Throws unless it can be added. */
  requireAddend(value: unknown): void;
}

/**
 * One number in shared memory, without a lock. Reading it, storing, adding and comparing are one step each: no thread sees
 * half of a change, and no addition is lost. Whoever reads a number sees all that was written before it was stored.
 *
 * `i32` and `u32` hold whole numbers, `i64` bigints; `f64` any number, where NaN is equal to NaN, and 0 is not -0.
 *
 * @example
 * const hits = new Value({ type: 'u32', name: 'hits' });
 * hits.add(1);
 * hits.update((n) => Math.min(n * 2, 100));
 */
export class Value<T extends ValueType = ValueType> extends SharedObject {
  /** @internal */ readonly kind: number = KIND_VALUE;
  readonly #cell: Cell<Scalar<T>>;

  /** Makes a value in the region. Throws RangeError or TypeError for `type` or `initial`, RegionFullError. */
  constructor(options: ValueOptions<T>);
  /** @internal */
  constructor(place: LivePlace);
  constructor(options: ValueOptions<T> | LivePlace) {
    super(options instanceof LivePlace ? options : create(options));
    this.#cell = cellOf(this.region.kernel, this.type) as Cell<Scalar<T>>;
  }

  /** What it holds. */
  get type(): T {
    this.region.check(this);
    return typeAt(this.region, this.offset) as T;
  }

  /** The number now; it may be another one when the getter returns. */
  get value(): Scalar<T> {
    this.region.check(this);
    return this.#cell.load(this.offset);
  }

  /** Stores a number. Throws TypeError or RangeError for one that the type cannot hold. */
  set value(next: Scalar<T>) {
    this.region.check(this);
    this.#cell.require('value', next);
    this.#cell.store(this.offset, next);
  }

  /**
   * Adds `n`, and returns the number before. Whole numbers go round at the ends of their range, as those of Atomics do.
   * `n` may be negative, for `u32` down to -4,294,967,295. Throws TypeError or RangeError for what cannot be added.
   */
  add(n: Scalar<T>): Scalar<T> {
    this.region.check(this);
    this.#cell.requireAddend(n);
    return this.#cell.add(this.offset, n);
  }

  /**
   * Stores `next` if the number is `expected`. Returns the number before: it was stored if that is `expected`.
   * Throws TypeError or RangeError for what the type cannot hold.
   */
  compareExchange(expected: Scalar<T>, next: Scalar<T>): Scalar<T> {
    this.region.check(this);
    this.#cell.require('expected', expected);
    this.#cell.require('next', next);
    return this.#cell.exchange(this.offset, expected, next);
  }

  /**
   * Stores what `fn` makes of the number, and returns that. `fn` is called again when another thread was faster, so it must
   * do nothing but compute. What it throws is thrown, and so is a TypeError or RangeError when the type cannot hold its
   * result; nothing is changed then.
   */
  update(fn: (value: Scalar<T>) => Scalar<T>): Scalar<T> {
    if (typeof fn !== 'function') throw new TypeError(`fn must be a function: got ${show(fn)}`);
    for (let seen = this.value; ; ) {
      const next = fn(seen);
      this.#cell.require('the result of fn', next);
      this.region.check(this);
      const before = this.#cell.exchange(this.offset, seen, next);
      if (Object.is(before, seen)) return next;
      seen = before;
    }
  }
}

function cellOf(kernel: Kernel, type: ValueType): Cell<number> | Cell<bigint> {
  return { i32: () => i32(kernel), u32: () => u32(kernel), i64: () => i64(kernel), f64: () => f64(kernel) }[type]();
}

function i32(kernel: Kernel): Cell<number> {
  const require = (argument: string, value: unknown): void => {
    if (typeof value !== 'number' || (value | 0) !== value) requireInteger(argument, value, -(2 ** 31), 2 ** 31 - 1);
  };
  return {
    load: (at) => kernel.valueLoad(at),
    store: (at, next) => kernel.valueStore(at, next),
    add: (at, n) => kernel.valueAdd(at, n),
    exchange: (at, expected, next) => kernel.valueExchange(at, expected, next),
    require,
    requireAddend: (n) => require('n', n),
  };
}

function u32(kernel: Kernel): Cell<number> {
  return {
    load: (at) => kernel.valueLoad(at) >>> 0,
    store: (at, next) => kernel.valueStore(at, next),
    add: (at, n) => kernel.valueAdd(at, n) >>> 0,
    exchange: (at, expected, next) => kernel.valueExchange(at, expected, next) >>> 0,
    require: (argument, value) => requireInteger(argument, value, 0, 2 ** 32 - 1),
    requireAddend: (n) => requireInteger('n', n, 1 - 2 ** 32, 2 ** 32 - 1),
  };
}

function i64(kernel: Kernel): Cell<bigint> {
  const require = (argument: string, value: unknown): void => {
    if (typeof value !== 'bigint') throw new TypeError(`${argument} must be a bigint: got ${show(value)}`);
    if (value === BigInt.asIntN(64, value)) return;
    throw new RangeError(`${argument} must be a bigint from ${-(2n ** 63n)} to ${2n ** 63n - 1n}: got ${value}`);
  };
  return {
    load: (at) => kernel.valueLoad64(at),
    store: (at, next) => kernel.valueStore64(at, next),
    add: (at, n) => kernel.valueAdd64(at, n),
    exchange: (at, expected, next) => kernel.valueExchange64(at, expected, next),
    require,
    requireAddend: (n) => require('n', n),
  };
}

function f64(kernel: Kernel): Cell<number> {
  const require = (argument: string, value: unknown): void => {
    if (typeof value !== 'number') throw new TypeError(`${argument} must be a number: got ${show(value)}`);
  };
  return {
    load: (at) => kernel.valueLoadF64(at),
    store: (at, next) => kernel.valueStoreF64(at, next),
    add: (at, n) => kernel.valueAddF64(at, n),
    exchange: (at, expected, next) => kernel.valueExchangeF64(at, expected, next),
    require,
    requireAddend: (n) => require('n', n),
  };
}

function typeAt(region: Region, offset: number): ValueType {
  return VALUE_TYPES[region.i32[(offset + VALUE_TYPE) >> 2] ?? 0] ?? 'i32';
}

function create(options: ValueOptions): Place {
  const { region, name } = placement(options);
  const { type, initial } = options;
  const index = VALUE_TYPES.indexOf(type);
  if (index < 0) throw new TypeError(`type must be one of ${VALUE_TYPES.join(', ')}: got ${show(type)}`);
  const cell = cellOf(region.kernel, type) as Cell<unknown>;
  if (initial !== undefined) cell.require('initial', initial);
  return region.create(KIND_VALUE, VALUE_BYTES, name, (offset) => {
    region.i32[(offset + VALUE_TYPE) >> 2] = index;
    if (initial !== undefined) cell.store(offset, initial);
  });
}

revives(KIND_VALUE, (place) => new Value(place));
