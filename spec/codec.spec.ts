import * as vm from 'node:vm';
import { MessageChannel, parentPort, Worker, workerData } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CodecError, InvalidHandleError } from '../lib/memory/errors.ts';
import { Region } from '../lib/memory/region.ts';
import { type Codec, codec, refuse } from '../lib/queue/codec.ts';
import { Mutex } from '../lib/sync/mutex.ts';

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
function difference(a: unknown, b: unknown, path = 'value', twins = new Map<unknown, unknown>()): string {
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
const scratch = Buffer.alloc(1 << 20);

/** Through shared memory at an odd place and through private memory; the bytes are overwritten before the value is used. */
function carry<T>(through: Codec<T>, value: T): T {
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

function refused(through: Codec<unknown>, value: unknown, message: RegExp): void {
  assert.throws(
    () => through.encode(value, scratch, 0, scratch.length),
    (error: unknown) => error instanceof CodecError && error.code === 'ERR_CODEC' && message.test(error.message),
  );
}

/** The same numbers each time: mulberry32. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

class Point {
  x = 1;
  y = 2;
  get sum(): number {
    return this.x + this.y;
  }
}

/** An array with holes wherever `items` has nothing. */
function withHoles(length: number, items: Record<number, unknown>): unknown[] {
  return Object.assign(new Array(length), items);
}

function withProperties<T extends object>(target: T, properties: object): T {
  return Object.assign(target, properties);
}

/** A new value each time, so that nothing is shared by accident. */
const values: Record<string, () => unknown> = {
  null: () => null,
  undefined: () => undefined,
  true: () => true,
  false: () => false,
  zero: () => 0,
  'minus zero': () => -0,
  NaN: () => Number.NaN,
  Infinity: () => [Infinity, -Infinity],
  'whole numbers at every edge': () =>
    [7, 8, 15, 16, 24, 30, 31, 32, 52, 53, 63, 64].flatMap((n) => [
      2 ** n - 1,
      2 ** n,
      2 ** n + 1,
      -(2 ** n),
      -(2 ** n) - 1,
    ]),
  fractions: () => [0.1, -0.1, 1 / 3, 5e-324, Number.MAX_VALUE, Number.EPSILON],
  'BigInt of 64 bits': () => [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n)],
  'BigInt beyond': () => [2n ** 63n, -(2n ** 63n) - 1n, 2n ** 64n, 3n ** 999n, -(3n ** 999n)],
  'empty string': () => '',
  'strings of every short length': () => Array.from({ length: 40 }, (_, n) => 'abcdefghij'.repeat(4).slice(0, n)),
  'strings of the lengths where a count grows': () => [253, 254, 255, 256, 65535, 65536].map((n) => 'x'.repeat(n)),
  'Latin-1': () => ['é', 'Größe', 'ÿ'.repeat(300)],
  'text beyond Latin-1': () => ['ÿĀ', 'Привет', '日本語', '👩‍👩‍👧', `${'x'.repeat(100)}я`],
  'lone surrogates': () => ['\ud800', '\udc00', 'a\udfffb', '\udc00\ud800', `${'x'.repeat(70)}\ud83d`],
  'a byte order mark': () => ['\ufeff', '\ufeffab', `\ufeff${'x'.repeat(100)}`],
  'control characters': () => '\0\x01\x1f\x7f\x80\xff\n"\\',
  'a record': () => ({ id: 7, price: 101.25, side: 'buy', name: 'Ann', ok: true, tags: ['a', 'b'] }),
  'undefined in an object and an array': () => ({ a: undefined, b: [undefined, null] }),
  'empty containers': () => [{}, [], new Map(), new Set(), new ArrayBuffer(0), new Uint8Array(0)],
  'the order of keys': () => ({ b: 1, 2: 2, a: 3, 1: 4, '-1': 5, '01': 6, 4294967295: 7 }),
  'awkward keys': () => ({
    '': 1,
    constructor: 2,
    toString: 3,
    hasOwnProperty: 4,
    toJSON: 5,
    '\ud800': 6,
    я: 7,
    length: 8,
  }),
  'a __proto__ key': () => JSON.parse('{"a":1,"__proto__":{"polluted":true},"b":[{"__proto__":null}]}'),
  'many keys': () => Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`key${i}`, i])),
  'a long key': () => ({ ['k'.repeat(500)]: 1 }),
  'a nested tree': () => ({ a: { b: { c: [[[{ d: 1 }]]] } } }),
  'a long array': () => Array.from({ length: 1000 }, (_, i) => i * 1.5),
  holes: () => withHoles(5, { 0: 1, 2: 3 }),
  'a sparse array': () => {
    const sparse: unknown[] = [];
    sparse[5000] = 1;
    return sparse;
  },
  'an empty array with a length': () => new Array(7),
  'properties beside the items': () => withProperties([1, 2], { name: 'x' }),
  'a hole and a property, which cancel out': () => withProperties(withHoles(3, { 0: 1, 2: 3 }), { name: 'x' }),
  'the result of a match': () => 'abc'.match(/(?<second>b)/),
  'the same object twice': () => {
    const one = { n: 1 };
    return [one, { one }, one];
  },
  'a cycle': () => {
    const node: { name: string; list: unknown[]; self?: object } = { name: 'node', list: [] };
    node.self = node;
    node.list.push(node.list, node);
    return node;
  },
  Map: () =>
    new Map<unknown, unknown>([
      ['a', 1],
      [{ k: 1 }, new Map()],
      [Number.NaN, -0],
      [undefined, null],
    ]),
  Set: () => new Set<unknown>([1, 'a', { k: 1 }, Number.NaN, undefined]),
  'a Map and a Set in a cycle': () => {
    const map = new Map<unknown, unknown>();
    const set = new Set<unknown>([map]);
    return map.set(map, set).set('set', set);
  },
  Date: () => [new Date(0), new Date(-1), new Date(1.5e12 + 1), new Date(8.64e15)],
  'an invalid Date': () => new Date(Number.NaN),
  'a Date with a property': () => withProperties(new Date(5), { lost: 1 }),
  RegExp: () => withProperties(/a(?<n>b)\/[\]]/dgimsuy, { lastIndex: 3 }),
  'boxed values': () => [
    Object(1),
    Object(-0),
    Object('s'),
    Object(true),
    Object(12n),
    withProperties(Object('s'), { a: 1 }),
  ],
  Error: () => new Error('plain'),
  'the standard errors': () =>
    [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((Kind) => new Kind(Kind.name)),
  'an Error with a cause': () => new TypeError('outer', { cause: new RangeError('inner', { cause: { deep: [1] } }) }),
  'an Error with no message': () => new Error(),
  'an Error with a stack of its own': () => withProperties(new Error('x'), { stack: 'here' }),
  'an Error with properties and a name': () => withProperties(new Error('x'), { code: 'E', name: 'Special' }),
  'a subclass of Error': () => new (class Failure extends TypeError {})('sub'),
  AggregateError: () => new AggregateError([new Error('a')], 'many'),
  'an Error twice': () => {
    const error = new Error('once');
    return { error, again: [error] };
  },
  ArrayBuffer: () => new Uint8Array([1, 2, 3]).buffer,
  'a resizable ArrayBuffer': () => new ArrayBuffer(8, { maxByteLength: 16 }),
  'a view that follows its buffer': () => new Uint8Array(new ArrayBuffer(8, { maxByteLength: 16 }), 4),
  'all typed arrays': () => [
    new Int8Array([-1]),
    new Uint8Array([1, 2]),
    new Uint8ClampedArray([3]),
    new Int16Array([-4]),
    new Uint16Array([5]),
    new Int32Array([-6]),
    new Uint32Array([7]),
    new Float32Array([1.5, Number.NaN]),
    new Float64Array([-0, Number.NaN]),
    new BigInt64Array([-8n]),
    new BigUint64Array([2n ** 64n - 1n]),
  ],
  DataView: () => new DataView(new ArrayBuffer(16), 3, 5),
  'views of one buffer': () => {
    const buffer = new ArrayBuffer(32);
    return {
      whole: new Uint8Array(buffer),
      part: new Float64Array(buffer, 8, 2),
      view: new DataView(buffer, 1),
      buffer,
    };
  },
  'a Buffer': () => Buffer.from('bytes'),
  'a Buffer of its own memory': () => Buffer.alloc(5000, 7),
  'a null prototype': () => Object.assign(Object.create(null), { a: 1 }),
  'an inherited property': () => Object.assign(Object.create({ inherited: 1 }), { own: 2 }),
  'a class instance': () => new Point(),
  subclasses: () => [
    Object.assign(new (class A extends Array<number> {})(), [1, 2, 3]),
    new (class M extends Map<number, number> {})([[1, 2]]),
    new (class S extends Set<number> {})([1]),
    new (class D extends Date {})(5),
    new (class U extends Uint8Array {})(3),
  ],
  'a getter': () => ({
    get a() {
      return [1];
    },
  }),
  'symbols as keys, hidden properties': () =>
    Object.defineProperty({ [Symbol('s')]: 1, seen: 2 }, 'hidden', { value: 3, enumerable: false }),
  'frozen objects': () => Object.freeze({ list: Object.freeze([1, Object.freeze({ a: 1 })]) }),
  'a Map without a prototype': () => Object.setPrototypeOf(new Map([[1, 2]]), null),
  'an array without a prototype': () => Object.setPrototypeOf([1], null),
  'an array that looks like an object': () => Object.setPrototypeOf([1, 2], Object.prototype),
  'an object that looks like an array': () => Object.setPrototypeOf({}, Array.prototype),
  'a Date that looks like an object': () => Object.setPrototypeOf(new Date(5), Object.prototype),
  'a number that looks like an object': () => Number.prototype,
  'a tag of its own': () => ({ a: 1, [Symbol.toStringTag]: 'Tagged' }),
  'objects of another realm': () =>
    vm.runInNewContext('({ a: [1, { b: 2 }], date: new Date(5), map: new Map([[1, 2]]) })'),
  'a namespace of the language': () => [Math, JSON, Reflect],
};

for (const [name, make] of Object.entries(values)) {
  test(`any carries ${name} as structuredClone does`, () => {
    const value = make();
    assert.is(difference(carry(codec.any, value), structuredClone(value)), '');
  });
  test(`any carries ${name} within an object`, () => {
    const value = { id: 1, value: make(), rest: ['a', { b: null }] };
    assert.is(difference(carry(codec.any, value), structuredClone(value)), '');
  });
}

test('any carries random nested values as structuredClone does', () => {
  const random = numbers(20261123);
  const kinds = Object.values(values);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const made: unknown[] = [];
  const build = (depth: number): unknown => {
    const items = Array.from({ length: Math.floor(random() * 4) }, () =>
      depth > 3 ? pick(kinds)() : build(depth + 1),
    );
    const key = () => pick(['a', 'b', '7', 'name', '', '__proto__', 'я', String(random())]);
    const value = pick([
      () => pick(kinds)(),
      () => items,
      () => Object.fromEntries(items.map((item) => [key(), item])),
      () => new Map(items.map((item) => [random() < 0.5 ? key() : item, item])),
      () => new Set(items),
      () => (made.length > 0 && random() < 0.3 ? pick(made) : items),
    ])();
    made.push(value);
    return value;
  };
  for (let i = 0; i < 1500; i++) {
    made.length = 0;
    const value = build(0);
    assert.is(difference(carry(codec.any, value), structuredClone(value)), '', `value ${i}`);
  }
});

/** The types of this Node do not name it. */
const wasm = Reflect.get(globalThis, 'WebAssembly');

const uncloneable: Record<string, () => unknown> = {
  'a function': () => () => 1,
  'a class': () => Point,
  'a symbol': () => Symbol('s'),
  'a boxed symbol': () => Object(Symbol('s')),
  'a method': () => ({ id: 1, run() {} }),
  'a function in an array in a Map': () => new Map([['a', [1, () => 1]]]),
  'a Proxy': () => new Proxy({ a: 1 }, {}),
  'a Proxy of an array, within': () => ({ a: [new Proxy([], {})] }),
  'an arguments object': () =>
    (function () {
      // biome-ignore lint/complexity/noArguments: it is what is tried
      return arguments;
    })(),
  'a WeakMap': () => new WeakMap(),
  'a WeakRef': () => new WeakRef({}),
  'a Promise': () => Promise.resolve(1),
  'a generator': () => (function* () {})(),
  'an iterator': () => [1][Symbol.iterator](),
  'an Intl object': () => new Intl.Collator(),
  'a MessagePort': () => {
    const { port1 } = new MessageChannel();
    port1.close();
    return port1;
  },
  'a transferred buffer': () => {
    const gone = new Uint8Array(8);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    return { gone };
  },
  'shared memory': () => new SharedArrayBuffer(8),
  'a view of shared memory': () => ({ view: new Uint8Array(new SharedArrayBuffer(8)) }),
  'a Blob': () => new Blob(['x']),
  'a URL': () => new URL('http://localhost/'),
  'a DOMException': () => new DOMException('stop', 'AbortError'),
  'an AbortSignal': () => new AbortController().signal,
  'a module of WebAssembly': () => new wasm.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])),
  'memory of WebAssembly': () => new wasm.Memory({ initial: 1, maximum: 1, shared: true }),
};

for (const [name, make] of Object.entries(uncloneable)) {
  test(`any refuses ${name}`, () => refused(codec.any, make(), /^codec any /));
  test(`any refuses ${name} beside what it could carry`, () =>
    refused(codec.any, [new Map(), { b: make() }], /^codec any /));
}

test('any does with an Error that is its own cause what structuredClone does', () => {
  const error = new Error('round');
  error.cause = error;
  let clone: unknown;
  try {
    clone = structuredClone(error);
  } catch {}
  if (clone === undefined) refused(codec.any, [error], /Unable to deserialize/);
  else assert.is(difference(carry(codec.any, error), clone), '');
});

test('any carries 1000 objects within objects, and refuses more, in the short way and by V8', () => {
  const within = (depth: number, inner: object) => {
    let outer = inner;
    for (let i = 1; i < depth; i++) outer = i % 2 === 0 ? [outer] : { outer };
    return outer;
  };
  for (const inner of [{}, new Map()]) {
    assert.is(difference(carry(codec.any, within(1000, inner)), structuredClone(within(1000, inner))), '');
    refused(codec.any, within(1001, inner), /more than 1000 objects within objects/);
    refused(codec.any, within(100_000, inner), /more than 1000 objects within objects/);
  }
  const chain: { last?: object }[] = [{}];
  for (let i = 1; i < 3000; i++) chain.push({ last: chain[i - 1] as object });
  refused(codec.any, chain.at(-1), /more than 1000 objects within objects/);
  assert.is(
    difference(carry(codec.any, chain), structuredClone(chain)),
    '',
    'met one after the other they are not deep',
  );
});

test('any says why it refuses, and keeps the cause', () => {
  const thrown = new RangeError('not now');
  const value = {
    get a() {
      throw thrown;
    },
  };
  assert.throws(
    () => codec.any.encode(value, scratch, 0, scratch.length),
    (error: Error) => error instanceof CodecError && error.cause === thrown && error.message.includes('not now'),
  );
  refused(codec.any, { run() {} }, /could not be cloned/);
});

test('any reads a getter of plain data once, so that what it checked is what it sends', () => {
  let reads = 0;
  const value = {
    get a() {
      return reads++ === 0 ? { n: 1 } : () => 'never';
    },
  };
  const end = codec.any.encode(value, scratch, 0, scratch.length);
  assert.equal(codec.any.decode(scratch, 0, end), { a: { n: 1 } });
  assert.is(reads, 1);
});

test('any agrees with structuredClone when getters change the value', () => {
  const shapes: (() => unknown)[] = [
    () => ({
      get a() {
        return delete (this as { b?: number }).b;
      },
      b: 2,
      c: 3,
    }),
    () => ({
      get a() {
        return Object.assign(this, { z: 1 }).z;
      },
      c: 3,
    }),
    () => {
      const list: unknown[] = [0, 1, 2];
      Object.defineProperty(list, 0, { get: () => void list.push('more'), enumerable: true });
      return list;
    },
  ];
  for (const make of shapes) {
    const end = codec.any.encode(make(), scratch, 0, scratch.length);
    assert.is(difference(codec.any.decode(scratch, 0, end), structuredClone(make())), '');
  }
});

test('any can be used by a getter of the very value that it encodes', () => {
  const inner = Buffer.alloc(256);
  let end = 0;
  const value = {
    first: 'one',
    get second() {
      end = codec.any.encode({ x: [1, { y: 'inner' }] }, inner, 0, inner.length);
      return 'two';
    },
    third: { z: 3 },
  };
  const stop = codec.any.encode(value, scratch, 0, scratch.length);
  assert.equal(codec.any.decode(scratch, 0, stop), { first: 'one', second: 'two', third: { z: 3 } });
  assert.equal(codec.any.decode(inner, 0, end), { x: [1, { y: 'inner' }] });
});

test('a __proto__ key reaches no prototype', () => {
  const arrived = carry(
    codec.any,
    JSON.parse('{"__proto__":{"polluted":1},"a":{"__proto__":{"polluted":1}}}'),
  ) as object;
  assert.is(Object.getPrototypeOf(arrived), Object.prototype);
  assert.equal(Object.keys(arrived), ['__proto__', 'a']);
  assert.is(({} as { polluted?: unknown }).polluted, undefined);
});

test('what was short text of a message before does not change that of the next', () => {
  const random = numbers(7);
  for (let i = 0; i < 20_000; i++) {
    const key = String.fromCharCode(
      ...Array.from({ length: Math.floor(random() * 5) }, () => 97 + Math.floor(random() * 26)),
    );
    assert.equal(carry(codec.any, { [key]: key }), { [key]: key });
  }
});

// --- room ---

const sized: [string, Codec<unknown>, unknown][] = [
  ...Object.entries(values).map(([name, make]): [string, Codec<unknown>, unknown] => [
    `any with ${name}`,
    codec.any,
    make(),
  ]),
  ['i32', codec.i32 as Codec<unknown>, 5],
  ['u32', codec.u32 as Codec<unknown>, 5],
  ['f64', codec.f64 as Codec<unknown>, 5],
  ['i64', codec.i64 as Codec<unknown>, 5n],
  ['bytes', codec.bytes as Codec<unknown>, new Uint8Array(90).fill(1)],
  ['string', codec.string as Codec<unknown>, 'текст и text'.repeat(8)],
  ['json', codec.json, { a: [1, 'two', { three: null }] }],
];

test('a codec says -1 when there is not enough room, and never writes behind the end', () => {
  for (const [name, through, value] of sized) {
    const needed = through.encode(value, scratch, 0, scratch.length);
    const enough = needed + 16;
    const step = Math.ceil(enough / 200);
    for (let room = enough; room >= 0; room -= step) {
      scratch.fill(0xee, 0, needed + 64);
      const position = through.encode(value, scratch, 5, 5 + room);
      const outside = [scratch.subarray(0, 5), scratch.subarray(5 + room, needed + 64)];
      assert.ok(
        Buffer.concat(outside).every((byte) => byte === 0xee),
        `${name} in ${room}, of ${needed}`,
      );
      if (room === enough) assert.is(position, 5 + needed, `${name} in ${room}`);
      else if (room < needed) assert.is(position, -1, `${name} in ${room}, of ${needed}`);
      else assert.ok(position === -1 || position === 5 + needed, `${name} in ${room}, of ${needed}`);
    }
  }
});

// --- references ---

const region = new Region();
const bound = codec.any.bind?.(region) ?? codec.any;

test('a shared object arrives live wherever it is in the value', () => {
  class Account {
    balance = 5;
    lock: Mutex;
    constructor(lock: Mutex) {
      this.lock = lock;
    }
  }
  const places: Record<string, [(mutex: Mutex) => unknown, (arrived: never) => unknown]> = {
    alone: [(mutex) => mutex, (arrived: Mutex) => arrived],
    'an object': [(mutex) => ({ id: 1, mutex }), (arrived: { mutex: Mutex }) => arrived.mutex],
    'an array': [(mutex) => ['a', [mutex]], (arrived: [string, [Mutex]]) => arrived[1][0]],
    'an array with holes': [(mutex) => withHoles(2, { 1: mutex }), (arrived: Mutex[]) => arrived[1]],
    'a property of an array': [(mutex) => Object.assign([1], { mutex }), (arrived: { mutex: Mutex }) => arrived.mutex],
    'the values of a Map': [(mutex) => new Map([['m', mutex]]), (arrived: Map<string, Mutex>) => arrived.get('m')],
    'the keys of a Map': [(mutex) => new Map([[mutex, 1]]), (arrived: Map<Mutex, number>) => [...arrived.keys()][0]],
    'a Set': [(mutex) => new Set([mutex]), (arrived: Set<Mutex>) => [...arrived][0]],
    'a class instance': [(mutex) => new Account(mutex), (arrived: Account) => arrived.lock],
    'an object beside an Error and a Date': [
      (mutex) => ({ error: new Error('x', { cause: { a: 1 } }), date: new Date(5), mutex }),
      (arrived: { mutex: Mutex }) => arrived.mutex,
    ],
    'a __proto__ key': [
      (mutex) => Object.defineProperty({}, '__proto__', { value: mutex, enumerable: true }),
      (arrived: object) => Object.getOwnPropertyDescriptor(arrived, '__proto__')?.value,
    ],
  };
  for (const [place, [put, find]] of Object.entries(places)) {
    const mutex = new Mutex({ region });
    const arrived = find(carry(bound, put(mutex)) as never) as Mutex;
    assert.instance(arrived, Mutex, place);
    assert.is(arrived.offset, mutex.offset, place);
    mutex.lock();
    assert.is(arrived.locked, true, `${place}: the same lock`);
    mutex.unlock();
    assert.is(arrived.locked, false, place);
  }
});

test('around shared objects any stays exact', () => {
  const make = (seat: unknown, point: object) => {
    const value = {
      b: seat,
      1: withHoles(5, { 1: seat, 2: point }),
      map: new Map([[seat, point]]),
      leaves: [withProperties(new Date(5), { lost: 1 }), new Uint8Array([1, 2]), Object('ab'), /a/g],
    };
    return Object.assign(value, {
      self: value,
      a: Object.assign([undefined, seat], { name: -0 }),
      set: new Set([seat, value]),
      empty: {},
    });
  };
  const arrived = carry(bound, make(new Mutex({ region }), new Point())) as { b: Mutex };
  const expected = make(arrived.b, { x: 1, y: 2 });
  expected.leaves = structuredClone(expected.leaves);
  assert.is(difference(arrived, expected), '');
  refused(bound, [new Mutex({ region }), new Map(), new Proxy({ a: 1 }, {})], /could not be cloned/);
});

test('a view of the memory of the region arrives as a live view', () => {
  const numbers = region.array(Float64Array, 8);
  const part = new Int16Array(numbers.buffer, numbers.byteOffset + 16, 3);
  const raw = new DataView(numbers.buffer, numbers.byteOffset, 20);
  for (const wrap of [<V>(view: V) => [view], <V>(view: V) => [view, new Map()] as [V, unknown]]) {
    const [view] = carry(bound, wrap(numbers)) as [Float64Array];
    assert.is(view.constructor, Float64Array);
    assert.is(view.buffer, numbers.buffer);
    assert.equal([view.byteOffset, view.length], [numbers.byteOffset, 8]);
    view[7] = 0.5;
    assert.is(numbers[7], 0.5);
    assert.is(difference((carry(bound, wrap(part)) as [Int16Array])[0], part), '');
    assert.is(difference((carry(bound, wrap(raw)) as [DataView])[0], raw), '');
    const [bytes] = carry(bound, wrap(Buffer.from(region.memory.buffer, 64, 10))) as [Uint8Array];
    assert.equal([bytes.constructor, bytes.byteOffset, bytes.length], [Uint8Array, 64, 10]);
  }
  const [one, again] = carry(bound, [numbers, numbers]) as [Float64Array, Float64Array];
  assert.is(one, again, 'one view twice is one view');
});

test('the region of the queue arrives as the region', () => {
  assert.is(carry(bound, region), region);
  assert.is((carry(bound, { map: new Map([[1, region]]) }) as { map: Map<number, Region> }).map.get(1), region);
  refused(bound, { other: new Region() }, /another region/);
  refused(codec.any, region, /outside a queue/);
});

test('a shared object that was freed is not sent, and one freed on its way does not arrive', () => {
  const mutex = new Mutex({ region });
  const end = bound.encode({ mutex }, scratch, 0, scratch.length);
  mutex.free();
  const isInvalid = (error: unknown) => error instanceof InvalidHandleError;
  assert.throws(() => bound.decode(scratch, 0, end), isInvalid);
  assert.throws(() => bound.encode({ mutex }, scratch, 0, scratch.length), isInvalid);
  assert.throws(() => bound.encode(new Set([mutex]), scratch, 0, scratch.length), isInvalid);
});

test('any refuses shared objects and views that its region does not own', () => {
  const other = new Region();
  const mutex = new Mutex({ region: other });
  for (const place of [(x: unknown) => x, (x: unknown) => ({ x }), (x: unknown) => new Map([[1, { x }]])]) {
    refused(bound, place(mutex), /another region/);
    refused(codec.any, place(mutex), /outside a queue/);
    refused(bound, place(other.array(Int32Array, 4)), /shared memory/);
    refused(codec.any, place(other.array(Int32Array, 4)), /shared memory/);
  }
  refused(bound, new Error('x', { cause: { mutex: new Mutex({ region }) } }), /cause/);
  refused(bound, { mutex: new Mutex({ region }), run() {} }, /could not be cloned/);
});

// --- the other codecs ---

test('string carries any string, and nothing else', () => {
  const random = numbers(3);
  const texts = Object.values(values)
    .flatMap((make) => make())
    .filter((value) => typeof value === 'string');
  for (let i = 0; i < 3000; i++) {
    const top = [0x7f, 0xff, 0xffff][i % 3] as number;
    const units = Array.from({ length: Math.floor(random() * 60) }, () => Math.floor(random() * (top + 1)));
    texts.push(String.fromCharCode(...units));
  }
  for (const text of texts) assert.is(carry(codec.string, text), text);
  for (const value of [1, null, undefined, ['a'], Object('a')])
    refused(codec.string as Codec<unknown>, value, /carries strings, not/);
});

test('bytes carries a Uint8Array and gives a plain copy', () => {
  const samples = [
    new Uint8Array(0),
    new Uint8Array([1, 2, 255]),
    Buffer.from('abc'),
    new Uint8Array(region.memory.buffer, 8, 9),
  ];
  for (const sample of [...samples, new (class Own extends Uint8Array {})(3), new Uint8Array(100_000).fill(9)]) {
    const arrived = carry(codec.bytes, sample);
    assert.is(Object.getPrototypeOf(arrived), Uint8Array.prototype);
    assert.is(arrived.buffer.byteLength, sample.length);
    assert.ok(Buffer.compare(arrived, sample) === 0);
  }
  const gone = new Uint8Array(8);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  const others = [
    gone,
    new Uint8ClampedArray(1),
    new DataView(new ArrayBuffer(1)),
    new ArrayBuffer(1),
    [1],
    'abc',
    null,
  ];
  for (const other of others) refused(codec.bytes as Codec<unknown>, other, /carries Uint8Arrays/);
});

test('json carries what JSON makes of a value, and refuses where JSON has no text', () => {
  for (const make of Object.values(values)) {
    let text: string | undefined;
    try {
      text = JSON.stringify(make());
    } catch {}
    if (text === undefined) refused(codec.json, make(), /^codec json /);
    else assert.is(difference(carry(codec.json, make()), JSON.parse(text)), '');
  }
  assert.equal(carry(codec.json, { toJSON: () => ({ in: 'stead' }) }), { in: 'stead' });
  for (const none of [undefined, () => 1, Symbol('s'), { toJSON() {} }])
    refused(codec.json, none, /turns into text, not/);
});

const inline: [Codec<number> | Codec<bigint>, unknown[], unknown[]][] = [
  [
    codec.i32,
    [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)],
    [-0, 0.5, 2 ** 31, -(2 ** 31) - 1, NaN, Infinity, '1', 1n, null, undefined, true, Symbol('s'), {}],
  ],
  [codec.u32, [0, 1, 2 ** 31, 2 ** 32 - 1], [-0, 0.5, -1, 2 ** 32, NaN, '1', 1n, null, undefined, [1]]],
  [codec.f64, [0, -0, 0.1, NaN, Infinity, -Infinity, 5e-324, Number.MAX_VALUE], ['1', 1n, null, undefined, Object(1)]],
  [codec.i64, [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n)], [2n ** 63n, -(2n ** 63n) - 1n, 1, '1', null, undefined]],
];

for (const [numeric, carried, others] of inline) {
  test(`${numeric.name} carries its range exactly and refuses everything else`, () => {
    const through = numeric as Codec<unknown>;
    assert.is(through.inline, through.name);
    for (const value of carried) {
      assert.is(through.accepts?.(value), true, String(value));
      assert.ok(Object.is(carry(through, value), value), String(value));
    }
    for (const value of others) {
      assert.is(through.accepts?.(value), false, String(value));
      refused(through, value, new RegExp(`^codec ${through.name} carries .+, not `));
      assert.throws(
        () => refuse(through, value),
        (error: unknown) => error instanceof CodecError,
      );
    }
  });
}

// --- threads ---

/** What a worker decodes of the messages in `memory`, in the order given. */
function decodeThere(memory: SharedArrayBuffer, messages: [number, number][]): Promise<unknown[]> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { memory, messages } });
  return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
}

test('another thread decodes messages in any order, even if it never sees the others', async () => {
  const memory = new SharedArrayBuffer(1 << 20);
  const into = Buffer.from(memory);
  const sent = Object.values(values).map((make) => ({ n: 1, name: 'same keys', value: make() }));
  let at = 0;
  const messages = sent.map((value): [number, number] => {
    const start = at;
    at = codec.any.encode(value, into, start, into.length);
    assert.ok(at > start, 'it fits');
    return [start, at];
  });
  const everyThirdFromTheEnd = [...messages.keys()].reverse().filter((i) => i % 3 === 0);
  const arrived = await decodeThere(
    memory,
    everyThirdFromTheEnd.map((i) => messages[i] as [number, number]),
  );
  assert.is(arrived.length, everyThirdFromTheEnd.length);
  // They came back by a structured clone, so the originals must have gone as far.
  for (const [k, i] of everyThirdFromTheEnd.entries()) assert.is(difference(arrived[k], structuredClone(sent[i])), '');
});

if (workerData?.messages) {
  const { memory, messages } = workerData as { memory: SharedArrayBuffer; messages: [number, number][] };
  parentPort?.postMessage(messages.map(([at, end]) => codec.any.decode(Buffer.from(memory), at, end)));
} else {
  test.run();
}
