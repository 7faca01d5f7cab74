// Values that are hard to carry exactly, each by its name.
import * as vm from 'node:vm';

export class Point {
  x = 1;
  y = 2;
  get sum(): number {
    return this.x + this.y;
  }
}

/** An array with holes wherever `items` has nothing. */
export function withHoles(length: number, items: Record<number, unknown>): unknown[] {
  return Object.assign(new Array(length), items);
}

export function withProperties<T extends object>(target: T, properties: object): T {
  return Object.assign(target, properties);
}

/** A new value each time, so that nothing is shared by accident. */
export const values: Record<string, () => unknown> = {
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
