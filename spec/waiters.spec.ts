import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EMPTY, NOTIFIED, PARKED, THREAD_BYTES, THREAD_PARK, WAIT_SET_BYTES } from '../lib/kernel/layout.ts';
import type { Region } from '../lib/memory/region.ts';
import { newRegion } from './kit/regions.ts';

const OTHER = 1; // a slot that nobody uses

/** An address for a wait set of 512 slots. */
function newSet(region: Region): number {
  return region.array(Uint8Array, WAIT_SET_BYTES).byteOffset;
}

const slots = [0, 1, 31, 32, 33, 62, 63, 64, 65, 127, 128, 255, 256, 447, 510, 511];

test('every slot of a large table has a bit of its own', () => {
  const region = newRegion({ threads: 512, bytes: 4 * 2 ** 20 });
  const { kernel } = region;
  const set = newSet(region);
  for (const slot of slots) {
    kernel.register(set, slot);
    for (const other of slots) assert.is(kernel.isRegistered(set, other) !== 0, other === slot, `${slot}, ${other}`);
    assert.ok(kernel.waiting(set));
    assert.ok(kernel.unregister(set, slot), 'it was still set');
    assert.not.ok(kernel.unregister(set, slot), 'and is not any more');
    assert.not.ok(kernel.waiting(set));
  }
});

test('waiters are taken once each, in the order of their slots', () => {
  const region = newRegion({ threads: 512, bytes: 4 * 2 ** 20 });
  const { kernel } = region;
  const set = newSet(region);
  for (const slot of slots) kernel.register(set, slot);
  assert.equal(takeAll(region, set, 0), slots);
  assert.not.ok(kernel.waiting(set));
});

test('taking starts at any slot and goes round once', () => {
  const region = newRegion({ threads: 512, bytes: 4 * 2 ** 20 });
  const set = newSet(region);
  for (const from of [0, 1, 32, 63, 64, 66, 128, 200, 448, 511]) {
    for (const slot of slots) region.kernel.register(set, slot);
    const inTurn = [...slots.filter((slot) => slot >= from), ...slots.filter((slot) => slot < from)];
    assert.equal(takeAll(region, set, from), inTurn, `from ${from}`);
  }
});

test('taking finds the waiter just before its start, in a table of one word too', () => {
  for (const threads of [2, 64, 65, 512]) {
    const region = newRegion({ threads, bytes: 4 * 2 ** 20 });
    const set = newSet(region);
    for (let from = 1; from < threads; from++) {
      region.kernel.register(set, from - 1);
      assert.is(region.kernel.takeWaiter(set, from), from - 1, `${threads} threads, from ${from}`);
    }
    assert.is(region.kernel.takeWaiter(set, 0), -1);
  }
});

test('a set reaches no further than its own 64 bytes', () => {
  const region = newRegion({ threads: 512, bytes: 4 * 2 ** 20 });
  const bytes = region.array(Uint8Array, 3 * WAIT_SET_BYTES).fill(0xff);
  const set = bytes.byteOffset + WAIT_SET_BYTES;
  bytes.fill(0, WAIT_SET_BYTES, 2 * WAIT_SET_BYTES);
  assert.is(region.kernel.takeWaiter(set, 100), -1);
  assert.not.ok(region.kernel.waiting(set));
});

function takeAll(region: Region, set: number, from: number): number[] {
  const taken: number[] = [];
  for (let slot = region.kernel.takeWaiter(set, from); slot >= 0; slot = region.kernel.takeWaiter(set, from)) {
    taken.push(slot);
  }
  return taken;
}

test('a wake before the park is kept, and used up by it', () => {
  const { kernel, record, i32 } = newRegion();
  const word = () => i32[(record + THREAD_PARK) >> 2];
  assert.not.ok(kernel.unpark(record), 'nobody sleeps: no futex');
  assert.is(word(), NOTIFIED);
  assert.not.ok(kernel.parkBegin(record), 'so the thread must not sleep');
  assert.is(word(), EMPTY);
  assert.ok(kernel.parkBegin(record), 'the next time it may');
  assert.is(word(), PARKED);
});

test('a sleeper is notified by the first who wakes it, and by no other', () => {
  const { kernel, record, i32 } = newRegion();
  kernel.parkBegin(record);
  assert.ok(kernel.unpark(record));
  assert.not.ok(kernel.unpark(record));
  kernel.parkEnd(record);
  assert.is(i32[(record + THREAD_PARK) >> 2], EMPTY);
});

test('a slot is taken by one thread, and given back under a new generation with an empty park word', () => {
  const region = newRegion();
  const record = region.record + (OTHER - region.slot) * THREAD_BYTES;
  assert.ok(region.kernel.threadJoin(record, 41));
  assert.not.ok(region.kernel.threadJoin(record, 42));
  assert.is(region.kernel.threadClaim(record), 41);
  region.kernel.unpark(record);
  const generation = region.threads.generation(OTHER);
  region.kernel.threadLeave(record);
  assert.is(region.threads.generation(OTHER), generation + 1);
  assert.is(region.i32[(record + THREAD_PARK) >> 2], EMPTY);
  assert.ok(region.kernel.threadJoin(record, 42));
});

test.run();
