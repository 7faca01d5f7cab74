import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InvalidHandleError } from '../lib/memory/errors.ts';
import { Region } from '../lib/memory/region.ts';
import { codec } from '../lib/queue/codec.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { carry, difference, refused, scratch } from './kit/carry.ts';
import { Point, withHoles, withProperties } from './kit/values.ts';

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

test.run();
