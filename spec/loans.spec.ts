import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SPARE_BLOCKS } from '../lib/kernel/layout.ts';
import { ClosedError, InvalidHandleError, MessageTooLargeError, TimeoutError } from '../lib/memory/errors.ts';
import { Region } from '../lib/memory/region.ts';
import { codec } from '../lib/queue/codec.ts';
import type { QueueOptions } from '../lib/queue/create.ts';
import { Received, type Reservation } from '../lib/queue/loans.ts';
import { Queue } from '../lib/queue/queue.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { crew } from './kit/crew.ts';
import { reasonOf } from './kit/pools.ts';
import { random } from './kit/random.ts';
import { ENTERED, newGate } from './kit/tasks.ts';
import { until } from './kit/until.ts';
import { kill, victim } from './kit/victims.ts';

const lending = new URL('./kit/lending.js', import.meta.url);
const LONG = 5000;

function newQueue(options: Partial<QueueOptions<Uint8Array>> = {}): Queue<Uint8Array> {
  const region = options.region ?? new Region({ bytes: 2 ** 18, threads: 16 });
  return new Queue<Uint8Array>({ capacity: 2, codec: codec.bytes, blockBytes: 64, region, name: 'frames', ...options });
}

/** For uvu, which calls what it is given. */
const isOf = (type: new (...args: never[]) => Error) => (error: Error) => error instanceof type;

/** All that can be reserved at once. */
function reserveAll(queue: Queue<Uint8Array>): Reservation[] {
  const all: Reservation[] = [];
  for (let one = queue.tryReserve(1); one; one = queue.tryReserve(1)) all.push(one);
  return all;
}

test('what is written into a reservation is received where it was written, in a block and behind it', () => {
  const queue = newQueue();
  const { used } = queue.region;
  for (const length of [1, 64, 65, LONG]) {
    const reservation = queue.reserve(length);
    const { byteOffset, buffer } = reservation.bytes;
    assert.is(buffer, queue.region.memory.buffer, 'in the region itself');
    reservation.bytes.forEach((_, i, bytes) => {
      bytes[i] = i * 3;
    });
    queue.commit(reservation);
    const message = queue.receive();
    assert.equal(
      [message.bytes.byteOffset, message.bytes.length, message.bytes.buffer === buffer],
      [byteOffset, length, true],
    );
    assert.ok(message.bytes.every((byte, i) => byte === ((i * 3) & 255)));
    message.release();
    assert.is(queue.region.used, used);
  }
});

test('what is reserved can be got, and what is put can be received', () => {
  const queue = newQueue();
  for (const length of [0, 3, LONG]) {
    const bytes = new Uint8Array(length).fill(length);
    queue.put(bytes);
    const message = queue.receive();
    assert.equal(message.bytes, bytes);
    queue.release(message);
    if (length === 0) continue;
    const reservation = queue.reserve(length);
    reservation.bytes.set(bytes);
    queue.commit(reservation);
    assert.equal(queue.get(), bytes);
  }
});

test('a commit may send fewer bytes than were reserved', () => {
  const queue = newQueue();
  const { used } = queue.region;
  for (const [reserved, length] of [
    [LONG, 7],
    [LONG, 0],
    [60, 3],
  ] as const) {
    const reservation = queue.reserve(reserved);
    reservation.bytes.fill(1);
    assert.throws(() => queue.commit(reservation, { length: reserved + 1 }), /^length must be an integer from 0 to/);
    queue.commit(reservation, { length });
    assert.equal(queue.get(), new Uint8Array(length).fill(1));
  }
  assert.is(queue.region.used, used);
});

test('abandoned reservations and messages that were released give their memory back, by name, by using and by the queue', () => {
  const queue = newQueue();
  const { used } = queue.region;
  for (const length of [10, LONG]) {
    queue.reserve(length).abandon();
    const left = queue.reserve(length);
    left[Symbol.dispose]();
    left[Symbol.dispose]();
    const sent = queue.reserve(length);
    queue.commit(sent);
    sent[Symbol.dispose]();
    const message = queue.receive();
    message[Symbol.dispose]();
    message[Symbol.dispose]();
  }
  assert.is(queue.region.used, used);
  assert.is(reserveAll(queue).length, queue.capacity + SPARE_BLOCKS, 'all blocks can be had again');
});

test('reserve waits while all blocks are lent, and goes on when one is given back', async () => {
  const queue = newQueue();
  const all = reserveAll(queue);
  assert.throws(() => queue.reserve(1, { timeout: 1 }), isOf(TimeoutError));
  const promises = [queue.reserveAsync(1), queue.reserveAsync(1)];
  const sending = crew(1, lending, 'sendOne', { queue, bytes: 3 });
  await until(() => queue.region.inspect().queues[0]?.waitersTo.reserve.length === 2);
  for (const reservation of all.splice(0, 3)) reservation.abandon();
  for (const reservation of await Promise.all(promises)) reservation.abandon();
  await sending;
  assert.equal(queue.get(), new Uint8Array(3).fill(5));
});

test('reserve waits for a piece of the region, and goes on when a message of another queue was taken', async () => {
  const region = new Region({ bytes: 2 ** 18, threads: 16 });
  const [queue, other] = [newQueue({ region }), newQueue({ region })];
  other.put(new Uint8Array(150_000));
  const { used } = region;
  assert.is(queue.tryReserve(150_000), undefined);
  assert.throws(() => queue.reserve(150_000, { timeout: 1 }), isOf(TimeoutError));
  assert.is(region.used, used);
  const promise = queue.reserveAsync(150_000);
  assert.is(other.get().length, 150_000);
  const reservation = await promise;
  const sending = crew(1, lending, 'sendOne', { queue, bytes: 150_000 });
  await until(() => region.inspect().queues[0]?.waitersTo.reserve.length === 1);
  reservation.abandon();
  await sending;
  assert.is(queue.receive().bytes.length, 150_000);
});

test('commit waits while the queue is full; after a timeout the reservation can be committed again', async () => {
  const queue = newQueue({ capacity: 1 });
  queue.put(Uint8Array.of(0));
  const reservation = queue.reserve(1);
  reservation.bytes[0] = 1;
  assert.is(queue.tryCommit(reservation), false);
  assert.throws(() => queue.commit(reservation, { timeout: 1 }), isOf(TimeoutError));
  const controller = new AbortController();
  const aborted = reasonOf(queue.commitAsync(reservation, { signal: controller.signal }));
  assert.throws(() => reservation.bytes, /^the reservation of queue "frames" is being committed$/);
  controller.abort(new Error('no more'));
  assert.match(String(await aborted), /no more/);
  assert.is(reservation.bytes[0], 1);
  const sending = queue.commitAsync(reservation);
  assert.equal([queue.get()[0], (await queue.getAsync())[0]], [0, 1]);
  await sending;
  const third = queue.reserve(1);
  third.bytes[0] = 2;
  assert.is(queue.tryCommit(third), true);
  assert.is(queue.get()[0], 2);
});

test('commits by promises keep the order of the calls with puts by promises', async () => {
  const queue = newQueue({ capacity: 1 });
  queue.put(Uint8Array.of(0));
  const puts: Promise<void>[] = [];
  for (let i = 1; i < 8; i++) {
    if (i % 2 === 0) puts.push(queue.putAsync(Uint8Array.of(i)));
    else {
      const reservation = queue.reserve(1);
      reservation.bytes[0] = i;
      puts.push(queue.commitAsync(reservation));
    }
  }
  for (let i = 0; i < 8; i++) assert.is((await queue.getAsync())[0], i);
  await Promise.all(puts);
});

test('a promise of a reservation does not keep back the commits that would free a block for it', async () => {
  const queue = newQueue({ capacity: 1 });
  queue.put(Uint8Array.of(0));
  const all = reserveAll(queue);
  const waiting = queue.reserveAsync(1);
  const commits = all.map((reservation) => queue.commitAsync(reservation));
  for (let i = 0; i <= all.length; i++) queue.release(await queue.receiveAsync());
  await Promise.all(commits);
  (await waiting).abandon();
});

test('messages of many threads, by loans alone, arrive once, whole and in order', async () => {
  for (const capacity of [1, 3]) {
    const queue = newQueue({ capacity });
    const { used } = queue.region;
    const got = await crew<number[]>(6, lending, 'exchange', { queue, producers: 3, items: 100 });
    const all = got.flat();
    const sent = [0, 1, 2].flatMap((producer) => Array.from({ length: 100 }, (_, item) => producer * 256 + item));
    assert.equal(
      [...all].sort((a, b) => a - b),
      sent,
    );
    for (const one of got) {
      for (const producer of [0, 1, 2]) {
        const of = one.filter((what) => what >> 8 === producer);
        assert.equal(
          of,
          of.toSorted((a, b) => a - b),
        );
      }
    }
    assert.is(queue.region.used, used);
  }
});

test('what a dead thread had reserved or received is free again, to the byte', async () => {
  const queue = newQueue();
  const { used } = queue.region;
  const gate = newGate();
  const reserving = await victim('holdLoans', { queue, bytes: [10, LONG, 200], gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  assert.ok(queue.region.used > used);
  assert.equal(await kill(reserving), { blocks: 3, pieces: 2 });
  assert.is(queue.region.used, used);
  queue.put(new Uint8Array(LONG));
  queue.put(new Uint8Array(3));
  const receiving = await victim('holdReceived', { queue, takes: 2, gate });
  await until(() => Atomics.load(gate, ENTERED) === 2);
  assert.equal(await kill(receiving), { blocks: 2, pieces: 1 });
  assert.is(queue.region.used, used);
  assert.is(reserveAll(queue).length, queue.capacity + SPARE_BLOCKS);
});

test('threads that are killed at random among their loans wedge nothing and leak nothing', async () => {
  const queue = newQueue({ capacity: 3 });
  const { used } = queue.region;
  const next = random(11);
  const gate = newGate();
  for (let round = 0; round < 8; round++) {
    Atomics.store(gate, ENTERED, 0);
    const workers = await Promise.all([0, 1, 2].map((index) => victim('lendForever', { queue, gate }, index)));
    await until(() => Atomics.load(gate, ENTERED) === 3);
    await new Promise((resolve) => setTimeout(resolve, next(20)));
    await Promise.all(workers.map((worker) => worker.terminate()));
    await until(() => queue.region.inspect().threads.length === 1);
    for (let message = queue.tryReceive(); message; message = queue.tryReceive()) {
      const { bytes } = message;
      assert.ok(
        bytes.every((byte) => byte === bytes[0]),
        'each message is whole',
      );
      message.release();
    }
    assert.equal([queue.size, queue.region.used], [0, used]);
    const all = reserveAll(queue);
    assert.is(all.length, queue.capacity + SPARE_BLOCKS);
    for (const reservation of all) reservation.abandon();
  }
});

test('in a queue that redelivers a message comes back if it was not released, and its release acknowledges it', async () => {
  const queue = newQueue({ redeliver: true });
  const { used } = queue.region;
  queue.put(new Uint8Array(LONG).fill(1));
  queue.put(Uint8Array.of(2));
  const gate = newGate();
  const receiving = await victim('holdReceived', { queue, takes: 2, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  assert.equal(await kill(receiving), { returned: 2 });
  const [first, second] = [queue.receive(), queue.get()];
  assert.equal([first.bytes.length, first.bytes[0], second[0]], [LONG, 1, 2]);
  assert.throws(() => queue.taskDone(2), /got 2, there are 1$/);
  queue.taskDone();
  assert.throws(() => queue.join({ timeout: 0 }), isOf(TimeoutError));
  queue.close();
  const joined = queue.joinAsync();
  assert.throws(() => queue.get(), isOf(ClosedError));
  first.release();
  await joined;
  assert.is(queue.region.used, used);
});

test('after close nothing can be reserved or committed, and what is there can be received', async () => {
  const queue = newQueue();
  const { used } = queue.region;
  queue.put(new Uint8Array(LONG));
  const reservation = queue.reserve(LONG);
  const all = reserveAll(queue);
  const waiting = reasonOf(queue.reserveAsync(1));
  queue.close();
  assert.instance(await waiting, ClosedError);
  assert.throws(() => queue.reserve(1), isOf(ClosedError));
  assert.throws(() => queue.commit(reservation), isOf(ClosedError));
  assert.throws(() => reservation.abandon(), /was given back, since it could not be committed$/);
  const message = queue.receive();
  assert.instance(message, Received);
  message.release();
  assert.throws(() => queue.receive(), isOf(ClosedError));
  assert.instance(await reasonOf(queue.receiveAsync()), ClosedError);
  for (const one of all) one.abandon();
  assert.is(queue.region.used, used);
});

test('a queue that is freed takes back what is lent, and loans say so', () => {
  const region = new Region({ bytes: 2 ** 18, threads: 2 });
  const before = region.used;
  const queue = newQueue({ region });
  queue.put(new Uint8Array(LONG));
  const [reservation, message] = [queue.reserve(LONG), queue.receive()];
  queue.free();
  assert.is(region.used, before);
  for (const use of [
    () => reservation.bytes,
    () => message.bytes,
    () => reservation.abandon(),
    () => message.release(),
    () => queue.reserve(1),
    () => queue.receive(),
  ]) {
    assert.throws(use, isOf(InvalidHandleError));
  }
});

test('a message that lies in many pieces is received as a copy, and reserve refuses what no piece could hold', () => {
  const queue = newQueue();
  const { region } = queue;
  const mutexes: Mutex[] = [];
  try {
    for (;;) mutexes.push(new Mutex({ region }));
  } catch {
    for (const [i, mutex] of mutexes.entries()) if (i % 5 !== 0) mutex.free();
  }
  const { used } = region;
  const bytes = Uint8Array.from({ length: 3000 }, (_, i) => i);
  queue.put(bytes);
  const message = queue.receive();
  assert.equal([message.bytes.buffer === region.memory.buffer, message.bytes], [false, bytes]);
  message.release();
  assert.throws(() => queue.reserve(3000), isOf(MessageTooLargeError));
  queue.reserve(4 * 128 - 64).abandon();
  assert.is(region.used, used);
});

test('what is no reservation or message of the queue is refused, and changes nothing', () => {
  const [queue, other] = [newQueue(), newQueue({ name: 'others' })];
  const reservation = other.reserve(1);
  other.put(Uint8Array.of(1));
  const message = other.receive();
  const got = 'got one of queue "others"$';
  assert.throws(() => queue.commit(reservation), new RegExp(`^reservation must be one of queue "frames": ${got}`));
  assert.throws(() => queue.release(message), new RegExp(`^message must be one of queue "frames": ${got}`));
  for (const wrong of [undefined, {}, message]) {
    assert.throws(() => queue.commit(wrong as never), /^reservation must be a Reservation of this queue: got /);
  }
  assert.throws(() => queue.release(reservation as never), /^message must be a Received of this queue: got /);
  other.commit(reservation);
  other.release(message);
  assert.is(other.size, 1);
});

test.run();
