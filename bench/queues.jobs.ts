import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { attach, type Shared } from '../lib/memory/handles.ts';
import type { Queue } from '../lib/queue/queue.ts';
import '../lib/queue/queue.ts';
import { AtomicsRing } from './atomics.ts';
import type { Body } from './crew.ts';
import { type LockedParts, LockedQueue } from './locked.ts';

// The two ends of each queue of `queues.bench.ts`: what one thread does in one round.

/** Items of a batch. */
export const MANY = 256;

/** First in, first out, exactly once: a consumer checks each item that it takes. */
function check(item: number | undefined, expected: number): void {
  if (item !== expected) throw new Error(`item ${expected} came out as ${item}`);
}

// One at a time, numbers.

export function put(shared: Shared<Queue<number>>): Body {
  const queue = attach(shared);
  return (n) => {
    for (let i = 0; i < n; i++) queue.put(i);
  };
}

export function get(shared: Shared<Queue<number>>): Body {
  const queue = attach(shared);
  return (n) => {
    for (let i = 0; i < n; i++) check(queue.get(), i);
  };
}

export function atomicsPut(words: Int32Array): Body {
  const ring = new AtomicsRing(words);
  return (n) => {
    for (let i = 0; i < n; i++) ring.put(i);
  };
}

export function atomicsGet(words: Int32Array): Body {
  const ring = new AtomicsRing(words);
  return (n) => {
    for (let i = 0; i < n; i++) check(ring.get(), i);
  };
}

export function spinningPut(words: Int32Array): Body {
  const ring = new AtomicsRing(words);
  return (n) => {
    for (let i = 0; i < n; ) if (ring.tryPut(i)) i++;
  };
}

export function spinningGet(words: Int32Array): Body {
  const ring = new AtomicsRing(words);
  return (n) => {
    for (let i = 0; i < n; ) {
      const item = ring.tryGet();
      if (item !== undefined) check(item, i++);
    }
  };
}

export function lockedPut(parts: LockedParts): Body {
  const queue = new LockedQueue(parts);
  return (n) => {
    for (let i = 0; i < n; i++) queue.put(i);
  };
}

export function lockedGet(parts: LockedParts): Body {
  const queue = new LockedQueue(parts);
  return (n) => {
    for (let i = 0; i < n; i++) check(queue.get(), i);
  };
}

// 256 at a time: a batch is filled, sent, received and checked.

function fill(batch: Int32Array, first: number): Int32Array {
  for (let i = 0; i < batch.length; i++) batch[i] = first + i;
  return batch;
}

function checkAll(items: ArrayLike<number>, first: number): void {
  for (let i = 0; i < items.length; i++) check(items[i], first + i);
}

export function putMany(shared: Shared<Queue<number>>): Body {
  const queue = attach(shared);
  const batch = new Int32Array(MANY);
  return (n) => {
    for (let i = 0; i < n; i += MANY) queue.putMany(fill(batch, i));
  };
}

export function getMany(shared: Shared<Queue<number>>): Body {
  const queue = attach(shared);
  return (n) => {
    for (let i = 0; i < n; ) {
      const items = queue.getMany(MANY);
      checkAll(items, i);
      i += items.length;
    }
  };
}

export function getManyInto(shared: Shared<Queue<number>>): Body {
  const queue = attach(shared);
  const batch = new Int32Array(MANY);
  return (n) => {
    for (let i = 0; i < n; ) {
      const count = queue.getManyInto(batch);
      for (let j = 0; j < count; j++) check(batch[j], i + j);
      i += count;
    }
  };
}

// Several producers and several consumers. An item is its producer's number and a count.

interface OfMany<T> {
  readonly shared: T;
  readonly id: number;
}

const COUNT_BITS = 24;

function putAll(put: (item: number) => void, id: number): Body {
  return (n) => {
    for (let i = 0; i < n; i++) put((id << COUNT_BITS) | (i & (2 ** COUNT_BITS - 1)));
  };
}

function getAll(get: () => number): Body {
  return (n) => {
    const last: number[] = [];
    for (let i = 0; i < n; i++) {
      const item = get();
      const id = item >>> COUNT_BITS;
      if (item <= (last[id] ?? -1)) throw new Error(`item ${item} came after ${last[id]}`);
      last[id] = item;
    }
  };
}

export function putOfMany({ shared, id }: OfMany<Shared<Queue<number>>>): Body {
  const queue = attach(shared);
  return putAll((item) => queue.put(item), id);
}

export function getOfMany({ shared }: OfMany<Shared<Queue<number>>>): Body {
  const queue = attach(shared);
  return getAll(() => queue.get());
}

export function putOfManyOnAtomics({ shared, id }: OfMany<Int32Array>): Body {
  const ring = new AtomicsRing(shared);
  return putAll((item) => ring.put(item), id);
}

export function getOfManyOnAtomics({ shared }: OfMany<Int32Array>): Body {
  const ring = new AtomicsRing(shared);
  return getAll(() => ring.get());
}

export function putOfManyLocked({ shared, id }: OfMany<LockedParts>): Body {
  const queue = new LockedQueue(shared);
  return putAll((item) => queue.put(item), id);
}

export function getOfManyLocked({ shared }: OfMany<LockedParts>): Body {
  const queue = new LockedQueue(shared);
  return getAll(() => queue.get());
}

// Bytes. Both ends of each message carry its count.

interface Bytes<T> {
  readonly bytes: number;
  readonly queue: T;
}

export function stamp(message: Uint8Array, count: number): Uint8Array {
  message[0] = count;
  message[message.length - 1] = count;
  return message;
}

export function checkStamp(message: Uint8Array, count: number, bytes: number): void {
  check(message.length, bytes);
  check(message[0], count & 255);
  check(message[bytes - 1], count & 255);
}

export function putBytes({ queue: shared, bytes }: Bytes<Shared<Queue<Uint8Array>>>): Body {
  const queue = attach(shared);
  const message = new Uint8Array(bytes);
  return (n) => {
    for (let i = 0; i < n; i++) queue.put(stamp(message, i));
  };
}

export function getBytes({ queue: shared, bytes }: Bytes<Shared<Queue<Uint8Array>>>): Body {
  const queue = attach(shared);
  return (n) => {
    for (let i = 0; i < n; i++) checkStamp(queue.get(), i, bytes);
  };
}

export function lendBytes({ queue: shared, bytes }: Bytes<Shared<Queue<Uint8Array>>>): Body {
  const queue = attach(shared);
  const message = new Uint8Array(bytes);
  return (n) => {
    for (let i = 0; i < n; i++) {
      const reservation = queue.reserve(bytes);
      reservation.bytes.set(stamp(message, i));
      queue.commit(reservation);
    }
  };
}

export function receiveLent({ queue: shared, bytes }: Bytes<Shared<Queue<Uint8Array>>>): Body {
  const queue = attach(shared);
  return (n) => {
    for (let i = 0; i < n; i++) {
      const message = queue.receive();
      checkStamp(message.bytes, i, bytes);
      message.release();
    }
  };
}

interface BytesByPort {
  readonly port: MessagePort;
  readonly bytes: number;
}

/** Who sends 64 KiB as fast as it can fills the memory: after so many bytes it lets the receiver catch up. */
const AHEAD = 64 * 2 ** 20;

export function postBytes({ port, bytes }: BytesByPort): Body {
  const message = new Uint8Array(bytes);
  return async (n) => {
    for (let i = 0; i < n; i++) {
      port.postMessage(stamp(message, i));
      if ((i * bytes) % AHEAD >= AHEAD - bytes) await nextMessage(port);
    }
  };
}

const nextMessage = (port: MessagePort): Promise<unknown> => new Promise((resolve) => port.once('message', resolve));

export function receiveBytes({ port, bytes }: BytesByPort): Body {
  return (n) =>
    drain<Uint8Array>(port, n, (message, count) => {
      checkStamp(message, count, bytes);
      if ((count * bytes) % AHEAD >= AHEAD - bytes) port.postMessage('go on');
      return 1;
    });
}

// Objects of six fields, all of one shape.

export interface City {
  readonly id: number;
  readonly name: string;
  readonly country: string;
  readonly latitude: number;
  readonly longitude: number;
  readonly capital: boolean;
}

export function city(id: number): City {
  return { id, name: 'Amsterdam', country: 'NL', latitude: 52.37403, longitude: 4.88969, capital: true };
}

export function putObjects(shared: Shared<Queue<City>>): Body {
  const queue = attach(shared);
  return (n) => {
    for (let i = 0; i < n; i++) queue.put(city(i));
  };
}

export function getObjects(shared: Shared<Queue<City>>): Body {
  const queue = attach(shared);
  return (n) => {
    for (let i = 0; i < n; i++) check(queue.get().id, i);
  };
}

// postMessage. The sender never waits: the port holds what the receiver has not taken yet.

export function post(port: MessagePort): Body {
  return (n) => {
    for (let i = 0; i < n; i++) port.postMessage(i);
  };
}

export function postMany(port: MessagePort): Body {
  const batch = new Int32Array(MANY);
  return (n) => {
    for (let i = 0; i < n; i += MANY) port.postMessage(fill(batch, i));
  };
}

export function postObjects(port: MessagePort): Body {
  return (n) => {
    for (let i = 0; i < n; i++) port.postMessage(city(i));
  };
}

/** Takes the messages of one round in 'message' events; `take` returns how many items a message was. */
function drain<T>(port: MessagePort, n: number, take: (message: T, first: number) => number): Promise<void> {
  return new Promise((resolve, reject) => {
    let taken = 0;
    const onMessage = (message: T) => {
      try {
        taken += take(message, taken);
        if (taken < n) return;
        resolve();
      } catch (error) {
        reject(error);
      }
      port.off('message', onMessage);
    };
    port.on('message', onMessage);
  });
}

export function receive(port: MessagePort): Body {
  return (n) =>
    drain<number>(port, n, (item, first) => {
      check(item, first);
      return 1;
    });
}

export function receiveMany(port: MessagePort): Body {
  return (n) =>
    drain<Int32Array>(port, n, (items, first) => {
      checkAll(items, first);
      return items.length;
    });
}

export function receiveObjects(port: MessagePort): Body {
  return (n) =>
    drain<City>(port, n, (item, first) => {
      check(item.id, first);
      return 1;
    });
}

/** Takes the messages of one round without the event loop, spinning while there are none. */
function drainInLoop<T>(port: MessagePort, n: number, take: (message: T, count: number) => void): void {
  for (let i = 0; i < n; ) {
    const received = receiveMessageOnPort(port);
    if (received) take(received.message, i++);
  }
}

export const receiveInLoop =
  (port: MessagePort): Body =>
  (n) =>
    drainInLoop<number>(port, n, check);

export const receiveObjectsInLoop =
  (port: MessagePort): Body =>
  (n) =>
    drainInLoop<City>(port, n, ({ id }, count) => check(id, count));
