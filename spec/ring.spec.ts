import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  BATCH,
  BUSY,
  CLAIM_SHIFT,
  CLOSED,
  DONE,
  FREED,
  NO_CLAIM,
  QUEUE_GETTERS,
  QUEUE_JOINERS,
  QUEUE_MASK,
  QUEUE_PUTTERS,
  QUEUE_SLOT_SHIFT,
  QUEUE_SLOTS,
  QUEUE_TAIL,
  SKIPPED,
  WAKE,
} from '../lib/kernel/layout.ts';
import { codec } from '../lib/queue/codec.ts';
import { newRing, type Ring, starts } from './kit/rings.ts';

const OTHER = 1; // a slot that nobody uses

/** Runs a test at every start for tiny capacities, powers of two and others, with narrow and with wide slots. */
function everywhere(name: string, run: (ring: Ring, capacity: number) => void): void {
  for (const through of [codec.i32, codec.f64]) {
    test(`${name}, by ${through.name}`, () => {
      for (const position of starts) {
        for (const capacity of [1, 2, 3, 4, 5, 7]) {
          try {
            run(newRing(capacity, position, { codec: through }), capacity);
          } catch (error) {
            (error as Error).message += ` (capacity ${capacity}, position ${position})`;
            throw error;
          }
        }
      }
    });
  }
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
  while (ring.get() !== CLOSED);
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
  assert.equal([ring.get(), ring.getMany(2), ring.ended()], [CLOSED, CLOSED, true]);
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
  const ring = newRing(2, 0, { codec: codec.i32 });
  const { kernel, record } = ring.region;
  const { offset, serial } = ring.queue;
  assert.is(ring.put(1), DONE);
  kernel.register(offset + QUEUE_GETTERS, OTHER);
  assert.is(ring.put(2), WAKE);
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

everywhere('a tail that lags, or is stale by laps, costs a look and never the order', (ring, capacity) => {
  const { i32 } = ring.region;
  const tail = (ring.queue.offset + QUEUE_TAIL) >> 2;
  const old = i32[tail] as number;
  let next = 1;
  let expected = 1;
  for (let round = 0; round < 5; round++) {
    while (ring.put(next) > 0) {
      next++;
      i32[tail] = old; // as if the first of the producers wrote it down only now
      assert.is(ring.size(), next - expected);
    }
    assert.is(ring.size(), capacity);
    for (let n = 0; n < capacity; n++) assert.is(ring.get(), expected++);
    i32[tail] = old;
    assert.equal([ring.get(), ring.size(), ring.writable()], [BUSY, 0, true]);
  }
  i32[tail] = old;
  ring.close();
  assert.equal([ring.put(0), ring.get()], [CLOSED, CLOSED]);
});

const OWNER = 5; // slot + 1 of a thread that is filling its claim

/** Puts [1, 2] as if `OWNER` were still filling its claim: where it begins, and what publishes it. */
function claimTwo(ring: Ring): { position: number; publish(): void } {
  const { i64, i32 } = ring.region;
  const { offset } = ring.queue;
  const position = i32[(offset + QUEUE_TAIL) >> 2] as number;
  const index = (position >>> 1) & (i32[(offset + QUEUE_MASK) >> 2] as number);
  const first = (offset + QUEUE_SLOTS + (index << (i32[(offset + QUEUE_SLOT_SHIFT) >> 2] as number))) >> 3;
  assert.is(ring.putMany([1, 2]), 2);
  const published = i64[first] as bigint;
  i64[first] = (BigInt(position) << 32n) | BigInt((2 << CLAIM_SHIFT) | OWNER);
  return {
    position,
    publish() {
      i64[first] = published;
    },
  };
}

everywhere('behind a claim that is not published producers go on, and consumers wait for it', (ring, capacity) => {
  if (capacity < 3) return;
  const { publish } = claimTwo(ring);
  assert.equal([ring.get(), ring.getMany(9), ring.readable(), ring.size()], [BUSY, BUSY, false, 2]);
  assert.equal([ring.put(3), ring.size()], [DONE, 3]);
  publish();
  assert.equal(ring.getMany(9), [1, 2, 3]);
});

everywhere('a claim whose owner is gone is found by its name, and once buried it is passed over', (ring, capacity) => {
  if (capacity < 5) return;
  const { kernel } = ring.region;
  const { offset } = ring.queue;
  assert.is(ring.put(7), DONE);
  const { position } = claimTwo(ring);
  assert.is(ring.put(8), DONE);
  assert.is(kernel.ringClaimOf(offset, OWNER + 1), NO_CLAIM);
  assert.is(kernel.ringClaimOf(offset, OWNER), position);
  assert.is(kernel.ringClaimed(offset, position), 2);
  kernel.ringBury(offset, position);
  assert.is(kernel.ringClaimOf(offset, OWNER), NO_CLAIM);
  assert.equal([ring.put(9), ring.size()], [DONE, 5]);
  assert.equal([ring.get(), ring.readable()], [7, true]);
  kernel.register(offset + QUEUE_PUTTERS, OTHER);
  assert.equal([ring.get(), ring.get(), ring.getMany(9)], [SKIPPED, 8, [9]]);
  assert.equal([ring.get(), ring.size(), ring.writable()], [BUSY, 0, true]);
});

everywhere('a buried claim at the end of a closed ring is passed over to the end', (ring, capacity) => {
  if (capacity < 2) return;
  const { position } = claimTwo(ring);
  ring.close();
  assert.equal([ring.ended(), ring.getMany(1)], [false, BUSY]);
  ring.region.kernel.ringBury(ring.queue.offset, position);
  assert.equal([ring.getMany(1), ring.ended(), ring.put(1)], [CLOSED, true, CLOSED]);
});

test.run();
