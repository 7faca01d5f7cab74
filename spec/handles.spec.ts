import { once } from 'node:events';
import { MessageChannel } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  KIND_ARRAY,
  KIND_MUTEX,
  KIND_QUEUE,
  KIND_REGION,
  REGION_VERSION,
  UNIT,
  VERSION,
} from '../lib/kernel/layout.ts';
import { InvalidHandleError } from '../lib/memory/errors.ts';
import { attach, type Shared, share } from '../lib/memory/handles.ts';
import type { Region, TypedArrayConstructor } from '../lib/memory/region.ts';
import { codec } from '../lib/queue/codec.ts';
import { Queue } from '../lib/queue/queue.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { crew } from './kit/crew.ts';
import type { Parcel } from './kit/handle-tasks.ts';
import { refuses } from './kit/refuses.ts';
import { newRegion } from './kit/regions.ts';

const tasks = new URL('./kit/handle-tasks.js', import.meta.url);

/** Through `postMessage`. */
async function post<T>(value: T): Promise<T> {
  const { port1, port2 } = new MessageChannel();
  const arrival = once(port2, 'message') as Promise<[Shared<T>]>;
  port1.postMessage(share(value));
  const [message] = await arrival;
  port1.close();
  return attach(message);
}

function newParcel(): Parcel {
  const region = newRegion();
  const mutex = new Mutex({ region, name: 'm' });
  const queue = new Queue<unknown>({ region, capacity: 2 });
  const list: Parcel['list'] = [mutex, { queue }];
  const map = new Map<unknown, unknown>([
    ['mutex', mutex],
    ['plain', new Date(0)],
  ]);
  map.set(mutex, list);
  const parcel: Parcel = { region, mutex, list, map, set: new Set<unknown>([mutex, 1]) };
  parcel.self = parcel;
  map.set('parcel', parcel);
  return parcel;
}

test('shared objects come to life in another thread, wherever they were nested', async () => {
  const parcel = newParcel();
  parcel.mutex.lock();
  const { queue } = parcel.list[1];
  queue.put('hello');
  assert.equal(await crew(1, tasks, 'describe', parcel), [[]]);
  const back = queue.get() as { back: Mutex; region: Region };
  assert.is(back.region, parcel.region);
  assert.instance(back.back, Mutex);
  assert.is(back.back.owner, parcel.region.slot);
  back.back.unlock();
  assert.not.ok(parcel.mutex.locked);
});

test('a thread gives back what it was given, and objects that it made', async () => {
  const mutex = new Mutex({ region: newRegion() });
  const [back] = await crew<{ given: Mutex; made: Mutex }>(1, tasks, 'giveBack', { given: mutex });
  assert.is(back?.given.offset, mutex.offset);
  assert.is(back?.given.region, mutex.region);
  assert.is(back?.made.name, 'made there');
  assert.is(back?.made.region, mutex.region, 'the first region attached is the current one there');
  assert.ok(back?.made.tryLock());
});

test('objects come to life in the thread that shared them, too', async () => {
  const { region, mutex, list } = newParcel();
  const arrived = await post({ region, mutex, list });
  assert.is(arrived.region, region);
  assert.instance(arrived.mutex, Mutex);
  assert.is(arrived.list[0], arrived.mutex);
  mutex.lock();
  assert.is(arrived.mutex.owner, region.slot);
  arrived.mutex.unlock();
  assert.not.ok(mutex.locked);
});

test('a value without shared objects is returned as it is, by both ways', () => {
  const cyclic: unknown[] = [];
  cyclic.push(cyclic, new Map([[cyclic, new Set([cyclic])]]));
  class Own {
    readonly region = 'no region';
  }
  const view = new Int32Array(new SharedArrayBuffer(8));
  for (const value of [
    0,
    'text',
    null,
    undefined,
    1n,
    [1, [2]],
    { a: { b: 1 } },
    cyclic,
    new Own(),
    view,
    new Date(),
  ]) {
    assert.is(share(value) as unknown, value);
    assert.is(attach(value as never), value);
  }
});

test('what was not touched stays the same object inside what was', () => {
  const mutex = new Mutex({ region: newRegion() });
  const date = new Date();
  const bytes = new Uint8Array(3);
  const shared = share({ mutex, date, bytes }) as { date: Date; bytes: Uint8Array; mutex: object };
  assert.is(shared.date, date);
  assert.is(shared.bytes, bytes);
  assert.not.instance(shared.mutex, Mutex);
});

test('sharing changes neither the value nor what surrounds the objects', async () => {
  const mutex = new Mutex({ region: newRegion() });
  const sparse: unknown[] = [mutex];
  sparse[2] = 3;
  const value = { ['__proto__']: { admin: true }, sparse, nothing: undefined, map: new Map([[1, mutex]]) };
  const before = structuredClone({ ...value, sparse: null, map: null });
  const arrived = await post(value);
  assert.is(value.sparse[0], mutex);
  assert.is(value.map.get(1), mutex);
  assert.equal({ ...arrived, sparse: null, map: null }, before);
  assert.equal(Object.keys(arrived), ['__proto__', 'sparse', 'nothing', 'map']);
  assert.is(Object.getPrototypeOf(arrived), Object.prototype);
  assert.equal(Object.keys(arrived.sparse), ['0', '2']);
  assert.is(arrived.map.get(1), arrived.sparse[0]);
});

test('arrays of a region are the same memory on the other side, of the same type, also a part of one', async () => {
  const region = newRegion();
  for (const type of [Int8Array, Uint8ClampedArray, Uint16Array, Int32Array, Float32Array, Float64Array] as const) {
    const array = region.array(type as unknown as TypedArrayConstructor<Uint8Array>, 6);
    const part = array.subarray(2, 4);
    const arrived = await post({ array, part });
    assert.is(arrived.array.constructor, type);
    assert.is(arrived.array.length, 6);
    assert.is(arrived.part.length, 2);
    arrived.part[1] = 100;
    assert.is(array[3], 100);
  }
  const big = region.array(BigInt64Array, 2);
  const view = new DataView(big.buffer, big.byteOffset, 8);
  const buffer = Buffer.from(big.buffer as never, big.byteOffset, 8);
  const arrived = await post({ big, view, buffer });
  arrived.big[0] = -2n;
  assert.is(arrived.view.getBigInt64(0, true), -2n);
  assert.is(arrived.buffer.readBigInt64LE(), -2n);
  assert.ok(Buffer.isBuffer(arrived.buffer));
  assert.is(big[0], -2n);
});

test('an array of length 0 survives', async () => {
  assert.is((await post({ none: newRegion().array(Float64Array, 0) })).none.length, 0);
});

test('a freed object cannot be shared, and its handles are stale', async () => {
  const region = newRegion();
  const mutex = new Mutex({ region });
  const handle = share({ mutex });
  const queued = new Queue<unknown>({ region, capacity: 1, codec: codec.any });
  queued.put({ mutex });
  mutex.free();
  refuses(() => share([mutex]), InvalidHandleError);
  refuses(() => attach(handle), InvalidHandleError);
  const next = new Mutex({ region });
  assert.is(next.offset, mutex.offset, 'another lives in its place');
  refuses(() => attach(handle), InvalidHandleError);
  assert.instance(attach(share(next)), Mutex);
});

test('a handle is refused when its object was freed while it was on its way', async () => {
  const mutex = new Mutex({ region: newRegion() });
  const { port1, port2 } = new MessageChannel();
  const arrival = once(port2, 'message');
  port1.postMessage(share({ mutex }));
  mutex.free();
  const [message] = await arrival;
  port1.close();
  refuses(() => attach(message as Shared<unknown>), InvalidHandleError);
});

interface Handle {
  'ringfence.handle': unknown;
  memory: unknown;
  kind: unknown;
  offset: unknown;
  serial: unknown;
  type?: unknown;
  length?: unknown;
}

function forged(change: Partial<Handle>, of: unknown): () => unknown {
  return () => attach({ deep: [{ ...(share(of) as object), ...change }] } as never);
}

test('a forged handle is refused', () => {
  const region = newRegion();
  const mutex = new Mutex({ region });
  const queue = new Queue({ region, capacity: 4 });
  const { offset, serial } = mutex;
  const changes: Partial<Handle>[] = [
    { offset: offset + UNIT },
    { offset: offset + 1 },
    { offset: offset + 64 },
    { offset: offset - UNIT },
    { offset: queue.offset },
    { offset: queue.offset + UNIT },
    { offset: region.bytes },
    { offset: 2 ** 32 + offset },
    { offset: -1 },
    { offset: 0 },
    { offset: Number.NaN },
    { offset: undefined },
    { offset: `${offset}` },
    { serial: 0 },
    { serial: serial + 1 },
    { serial: undefined },
    { kind: KIND_QUEUE },
    { kind: KIND_ARRAY },
    { kind: 99 },
    { kind: undefined },
    { memory: undefined },
    { memory: {} },
    { memory: { buffer: new ArrayBuffer(1024) } },
    { memory: { buffer: new SharedArrayBuffer(8) } },
    { memory: { buffer: region.memory.buffer } },
    { memory: new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }) },
    { memory: 'memory' },
  ];
  for (const change of changes) {
    try {
      assert.is(refuses(forged(change, mutex), InvalidHandleError).code, 'ERR_INVALID_HANDLE');
    } catch (error) {
      (error as Error).message += ` for ${Object.entries(change)}`;
      throw error;
    }
  }
  assert.instance((forged({}, mutex)() as { deep: unknown[] }).deep[0], Mutex, 'only the change made it wrong');
});

test('a forged handle of an array is refused', () => {
  const region = newRegion();
  const array = region.array(Int32Array, 8);
  const mutex = new Mutex({ region });
  const changes: Partial<Handle>[] = [
    { type: 'Function' },
    { type: 'Array' },
    { type: 'constructor' },
    { type: undefined },
    { length: -1 },
    { length: 1.5 },
    { length: undefined },
    { length: 2 ** 40 },
    { offset: array.byteOffset + 1 },
    { offset: -4 },
    { offset: undefined },
    { offset: region.bytes },
    { length: region.bytes / 4 },
    { length: 8 + UNIT },
    { offset: array.byteOffset - 64 },
    { offset: 0 },
    { offset: mutex.offset },
  ];
  for (const change of changes) {
    try {
      refuses(forged(change, array), InvalidHandleError);
    } catch (error) {
      (error as Error).message += ` for ${Object.entries(change)}`;
      throw error;
    }
  }
});

test('a handle of another version is refused, and so is a region of another', () => {
  const region = newRegion();
  const mutex = new Mutex({ region });
  for (const version of [VERSION + 1, 0, '1', null]) {
    refuses(forged({ 'ringfence.handle': version as never }, mutex), InvalidHandleError, `this library has ${VERSION}`);
  }
  const elsewhere = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
  const header = new Int32Array(elsewhere.buffer);
  header.set(region.i32.subarray(0, 16));
  header[REGION_VERSION >> 2] = VERSION + 1;
  refuses(forged({ memory: elsewhere, kind: KIND_REGION }, region), InvalidHandleError, `${VERSION + 1}`);
});

test('handles that were tried in vain leave the region as it was', () => {
  const region = newRegion();
  const mutex = new Mutex({ region });
  const { used } = region;
  for (let i = 0; i < 100; i++) refuses(forged({ serial: 77, kind: KIND_MUTEX }, mutex), InvalidHandleError);
  assert.is(region.used, used);
  assert.ok(mutex.tryLock());
});

test.run();
