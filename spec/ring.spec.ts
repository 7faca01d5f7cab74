import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  BATCH,
  BUSY,
  CLOSED,
  DONE,
  FREED,
  QUEUE_GETTERS,
  QUEUE_JOINERS,
  QUEUE_PUTTERS,
  WAKE,
} from '../lib/kernel/layout.ts';
import { newRing, type Ring, starts } from './kit/rings.ts';

const OTHER = 1; // a slot that nobody uses

/** Runs a test at every start for tiny capacities, powers of two and others. */
function everywhere(name: string, run: (ring: Ring, capacity: number) => void): void {
  test(name, () => {
    for (const position of starts) {
      for (const capacity of [1, 2, 3, 4, 5, 7]) {
        try {
          run(newRing(capacity, position), capacity);
        } catch (error) {
          (error as Error).message += ` (capacity ${capacity}, position ${position})`;
          throw error;
        }
      }
    }
  });
}

everywhere('a ring takes exactly its capacity, and gives it back in order', (ring, capacity) => {
  let next = 1;
  let expected = 1;
  for (let round = 0; round < 6; round++) {
    assert.is(ring.get(), BUSY, 'empty');
    for (let n = 0; n < capacity; n++) assert.is(ring.put(next++), DONE);
    assert.is(ring.put(-7), BUSY, 'full');
    assert.is(ring.size(), capacity);
    for (let n = 0; n < capacity; n++) assert.is(ring.get(), expected++);
    assert.is(ring.size(), 0);
  }
});

everywhere('a ring that is never empty and never full keeps the order across the wrap', (ring, capacity) => {
  let expected = 1;
  assert.is(ring.put(1), DONE);
  for (let next = 2; next < 40; next++) {
    if (capacity > 1) assert.is(ring.put(next), DONE);
    assert.is(ring.get(), expected++);
    if (capacity === 1) assert.is(ring.put(next), DONE);
    assert.is(ring.size(), 1);
  }
});

everywhere('a batch puts what there is room for, and takes what is there', (ring, capacity) => {
  let next = 1;
  let expected = 1;
  for (let round = 0; round < 8; round++) {
    const taken = ring.putMany(Array.from({ length: capacity + 2 }, (_, i) => next + i));
    assert.is(taken, round === 0 ? capacity : Math.max(1, capacity - 1));
    next += taken;
    assert.is(ring.putMany([-1]), BUSY, 'full');
    const left = round === 7 || capacity === 1 ? capacity : capacity - 1;
    assert.equal(
      ring.getMany(left),
      Array.from({ length: left }, () => expected++),
    );
  }
  assert.is(ring.getMany(3), BUSY);
});

everywhere('readable and writable say what a waiter would find', (ring, capacity) => {
  assert.equal([ring.readable(), ring.writable()], [false, true]);
  for (let n = 0; n < capacity; n++) ring.put(n);
  assert.equal([ring.readable(), ring.writable()], [true, false]);
  ring.get();
  assert.equal([ring.readable(), ring.writable()], [capacity > 1, true]);
  ring.close();
  while (!ring.ended()) ring.get();
  assert.equal([ring.readable(), ring.writable()], [true, true], 'never again: a waiter must learn that');
});

everywhere('a closed ring takes nothing, and gives what it has', (ring, capacity) => {
  for (let n = 1; n <= capacity; n++) ring.put(n);
  ring.close();
  ring.close();
  assert.is(ring.put(9), CLOSED);
  assert.is(ring.putMany([9]), CLOSED);
  for (let n = 1; n <= capacity; n++) {
    assert.is(ring.ended(), false);
    assert.is(ring.get(), n);
  }
  assert.equal([ring.get(), ring.getMany(2), ring.ended()], [BUSY, BUSY, true]);
  assert.is(ring.size(), 0);
});

everywhere('finished items are counted, and no more than were put', (ring, capacity) => {
  assert.is(ring.finish(1), BUSY, 'nothing was put');
  for (let n = 0; n < capacity; n++) ring.put(n);
  assert.is(ring.unfinished(), capacity);
  for (let n = 0; n < capacity; n++) ring.get();
  assert.is(ring.unfinished(), capacity, 'taken is not finished');
  assert.is(ring.finish(capacity + 1), BUSY);
  ring.region.kernel.register(ring.queue.offset + QUEUE_JOINERS, OTHER);
  if (capacity > 1) assert.is(ring.finish(capacity - 1), DONE, 'one is left');
  ring.close();
  assert.is(ring.finish(1), WAKE, 'the last one, and somebody joins');
  assert.is(ring.unfinished(), 0);
});

test('a put says WAKE only when a consumer waits, a get only when a producer does', () => {
  const ring = newRing(2, 0);
  const { kernel } = ring.region;
  const { offset, serial } = ring.queue;
  const { record } = ring.region;
  assert.is(kernel.ringPut(offset, serial, record), DONE);
  kernel.register(offset + QUEUE_GETTERS, OTHER);
  assert.is(kernel.ringPut(offset, serial, record), WAKE);
  assert.is(kernel.ringGet(offset, serial, record), DONE);
  kernel.register(offset + QUEUE_PUTTERS, OTHER);
  assert.is(kernel.ringGet(offset, serial, record), WAKE);
});

test('a batch is as long as the record of a thread allows', () => {
  const ring = newRing(2 * BATCH, 2 ** 32 - 2);
  const values = Array.from({ length: BATCH }, (_, i) => i);
  assert.is(ring.putMany(values), BATCH);
  assert.is(ring.putMany(values), BATCH);
  assert.equal(ring.getMany(3 * BATCH), values);
  assert.equal(ring.getMany(3 * BATCH), values);
});

test('a freed ring is refused by every operation', () => {
  const ring = newRing(1, 0);
  ring.queue.free();
  assert.is(ring.put(1), FREED);
  assert.is(ring.get(), FREED);
  assert.is(ring.putMany([1]), FREED);
  assert.is(ring.getMany(1), FREED);
  assert.is(ring.getBlock(), FREED);
  assert.is(ring.region.kernel.blockClaim(ring.queue.offset, ring.queue.serial, 1, 0), FREED);
});

test.run();
