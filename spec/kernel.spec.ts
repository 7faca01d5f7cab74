import { statSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  BATCH,
  BLOCK_FREE,
  BLOCK_STATE,
  BUSY,
  CLOSED,
  CONTENDED,
  DONE,
  EMPTY,
  FREE,
  FREED,
  HELD,
  MUTEX_WAITERS,
  MUTEX_WORD,
  NOTIFIED,
  OBJECT_SERIAL,
  PARKED,
  QUEUE_GETTERS,
  QUEUE_JOINERS,
  QUEUE_PUTTERS,
  REGION_SERIAL,
  STAMP_SHIFT,
  THREAD_BATCH,
  THREAD_BYTES,
  THREAD_MAIL,
  THREAD_PARK,
  UNIT,
  USED,
  WAIT_SET_BYTES,
  WAKE,
} from '../lib/kernel/layout.ts';
import type { Region } from '../lib/memory/region.ts';
import { codec } from '../lib/queue/codec.ts';
import { Queue, type QueueOptions } from '../lib/queue/queue.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { newRegion, type Piece, pieces } from './kit/regions.ts';

const OTHER = 1; // a slot that nobody uses

test('the module has at most 8 KB', () => {
  const { size } = statSync(new URL('../lib/kernel/kernel.wasm', import.meta.url));
  assert.ok(size <= 8 * 1024, `${size} bytes`);
});

// Pieces

test('a new region is one free piece', () => {
  const found = pieces(newRegion());
  assert.is(found.length, 1);
  assert.is(found[0]?.state, FREE);
});

test('a claim takes its units from the front of a free piece, held until it is sealed', () => {
  const region = newRegion();
  const { kernel } = region;
  const all = pieces(region)[0]?.units ?? 0;
  assert.is(kernel.pieceClaim(3, OTHER, 1), 0);
  assert.equal(pieces(region), [
    { unit: 0, units: 3, state: HELD + OTHER },
    { unit: 3, units: all - 3, state: FREE },
  ]);
  kernel.pieceSeal(0);
  assert.is(kernel.pieceClaim(1, region.slot, 1), 3);
  kernel.pieceSeal(3);
  assert.equal(pieces(region).slice(0, 2), [
    { unit: 0, units: 3, state: USED },
    { unit: 3, units: 1, state: USED },
  ]);
  assert.is(kernel.pieceAt(3) - kernel.pieceAt(0), 3 * UNIT);
});

test('a piece is freed once: the second time says that there was nothing to free', () => {
  const { kernel } = newRegion();
  kernel.pieceClaim(2, OTHER, 1);
  kernel.pieceSeal(0);
  assert.ok(kernel.pieceFree(0));
  assert.not.ok(kernel.pieceFree(0));
});

test('a claim joins the free pieces behind one another that it needs, and no others', () => {
  const region = newRegion();
  const { kernel } = region;
  const units = claimAll(region, [1, 1, 1, 1, 2]);
  for (const unit of units.slice(0, 3)) kernel.pieceFree(unit);
  assert.is(kernel.pieceClaim(2, OTHER, 1), 0);
  assert.equal(shapes(region).slice(0, 4), ['2 held', '1 free', '1 used', '2 used']);
  assert.is(kernel.pieceUnits(1), 0, 'the tag of a piece that was joined is no tag any more');
});

test('a claim cuts what it does not need of the last piece that it joined', () => {
  const region = newRegion();
  const { kernel } = region;
  const units = claimAll(region, [1, 4, 1]);
  kernel.pieceFree(units[0] ?? -1);
  kernel.pieceFree(units[1] ?? -1);
  assert.is(kernel.pieceClaim(3, OTHER, 1), 0);
  assert.equal(shapes(region).slice(0, 3), ['3 held', '2 free', '1 used']);
});

test('a claim passes free pieces that are too short and leaves them as they are', () => {
  const region = newRegion();
  const { kernel } = region;
  const units = claimAll(region, [2, 1, 2, 1]);
  kernel.pieceFree(units[0] ?? -1);
  kernel.pieceFree(units[2] ?? -1);
  assert.is(kernel.pieceClaim(3, OTHER, 1), 6);
  assert.equal(shapes(region).slice(0, 5), ['2 free', '1 used', '2 free', '1 used', '3 held']);
});

test('a full region gives -1, and everything again once its pieces are free', () => {
  const region = newRegion();
  const { kernel } = region;
  const all = pieces(region)[0]?.units ?? 0;
  const taken: number[] = [];
  for (let unit = kernel.pieceClaim(7, OTHER, 0); unit >= 0; unit = kernel.pieceClaim(7, OTHER, 0)) taken.push(unit);
  assert.is(taken.length, Math.floor(all / 7));
  assert.is(kernel.pieceClaim(all % 7, OTHER, 0), all - (all % 7), 'the rest is there to the last unit');
  assert.is(kernel.pieceClaim(1, OTHER, 0), -1);
  for (const unit of [...taken, all - (all % 7)]) kernel.pieceSeal(unit);
  for (const unit of taken) kernel.pieceFree(unit);
  kernel.pieceFree(all - (all % 7));
  assert.is(kernel.pieceClaim(all, OTHER, 0), 0);
  assert.is(kernel.pieceClaim(all + 1, OTHER, 0), -1);
});

test('a claimed piece is zeroed where it was used before, if that is asked', () => {
  const region = newRegion();
  const { kernel } = region;
  const [unit = -1] = claimAll(region, [3]);
  const at = kernel.pieceAt(unit);
  region.buffer.fill(0xff, at, at + 3 * UNIT);
  kernel.pieceFree(unit);
  assert.is(kernel.pieceClaim(3, OTHER, 0), unit);
  assert.ok(
    region.buffer.subarray(at, at + 3 * UNIT).every((byte) => byte === 0xff),
    'not asked: left alone',
  );
  kernel.pieceSeal(unit);
  kernel.pieceFree(unit);
  assert.is(kernel.pieceClaim(2, OTHER, 1), unit);
  assert.ok(
    region.buffer.subarray(at, at + 2 * UNIT).every((byte) => byte === 0),
    'asked: every byte of it',
  );
  assert.is(region.buffer[at + 2 * UNIT], 0xff, 'and no byte behind it');
});

test('a piece that reaches beyond what was ever used is zero throughout', () => {
  const region = newRegion();
  const { kernel } = region;
  const [unit = -1] = claimAll(region, [2]);
  const at = kernel.pieceAt(unit);
  region.buffer.fill(0xff, at, at + 2 * UNIT);
  kernel.pieceFree(unit);
  assert.is(kernel.pieceClaim(5, OTHER, 1), unit);
  assert.ok(region.buffer.subarray(at, at + 5 * UNIT).every((byte) => byte === 0));
});

test('whoever frees learns once that a producer waits for space', () => {
  const { kernel } = newRegion();
  assert.not.ok(kernel.spaceWanted());
  kernel.spaceWant();
  assert.ok(kernel.spaceWanted());
  assert.not.ok(kernel.spaceWanted());
});

function claimAll(region: Region, lengths: number[]): number[] {
  return lengths.map((units) => {
    const unit = region.kernel.pieceClaim(units, OTHER, 1);
    region.kernel.pieceSeal(unit);
    return unit;
  });
}

function shapes(region: Region): string[] {
  const word = ({ state }: Piece) => (state === FREE ? 'free' : state === USED ? 'used' : 'held');
  return pieces(region).map((piece) => `${piece.units} ${word(piece)}`);
}

// Waiters

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

// Park words

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
  const generation = region.generation(OTHER);
  region.kernel.threadLeave(record);
  assert.is(region.generation(OTHER), generation + 1);
  assert.is(region.i32[(record + THREAD_PARK) >> 2], EMPTY);
  assert.ok(region.kernel.threadJoin(record, 42));
});

// Lock

/** The kernel's lock operations on a mutex, by owner: slot + 1. */
function newLock() {
  const region = newRegion();
  const { kernel, i32 } = region;
  const mutex = new Mutex({ region });
  const { offset, serial } = mutex;
  const free = serial << STAMP_SHIFT;
  return {
    mutex,
    word: () => (i32[(offset + MUTEX_WORD) >> 2] ?? 0) ^ free,
    lock: (owner: number) => kernel.lock(offset, free, free | owner),
    glance: (owner: number) => kernel.lockGlance(offset, free, free | owner),
    lockContended: (owner: number) => kernel.lockContended(offset, free, free | owner),
    unlock: (owner: number) => kernel.unlock(offset, free, free | owner),
    unlockContended: (owner: number) => kernel.unlockContended(offset, free, free | owner),
    abandon: () => kernel.lockAbandon(offset, free),
    owner: () => kernel.lockOwner(offset),
    register: (slot: number) => kernel.register(offset + MUTEX_WAITERS, slot),
  };
}

test('the lock word carries its owner, and a try leaves no trace', () => {
  const { lock, glance, unlock, unlockContended, owner, word } = newLock();
  assert.is(word(), 0);
  assert.is(lock(5), DONE);
  assert.is(word(), 5);
  for (const other of [5, 6]) {
    assert.is(lock(other), BUSY);
    assert.is(glance(other), BUSY);
  }
  assert.is(unlock(6), BUSY, 'not its owner');
  assert.is(unlockContended(6), BUSY, 'not its owner');
  assert.is(owner(), 5);
  assert.is(word(), 5);
  assert.is(unlock(5), DONE);
  assert.is(word(), 0);
  assert.is(unlockContended(5), BUSY, 'nobody holds it');
  assert.is(glance(512), DONE);
  assert.is(owner(), 512, 'the last slot of the largest table');
});

test('an owner learns from the word that somebody sleeps, and only then wakes', () => {
  const { lock, lockContended, unlock, unlockContended, owner, register, word } = newLock();
  lock(5);
  register(OTHER);
  assert.is(lockContended(OTHER + 1), BUSY);
  assert.is(lockContended(OTHER + 1), BUSY, 'once more changes nothing');
  assert.is(word(), 5 | CONTENDED);
  assert.is(owner(), 5);
  assert.is(unlock(5), BUSY, 'the fast way does not wake');
  assert.is(unlockContended(5), WAKE);
  assert.is(word(), 0);
  assert.is(lockContended(OTHER + 1), DONE);
  assert.is(word(), (OTHER + 1) | CONTENDED, 'whoever slept takes it as contended: others may sleep');
});

test('a waiter that gives up wakes another, or makes sure that the owner will', () => {
  const { lock, unlockContended, abandon, register } = newLock();
  assert.is(abandon(), DONE, 'nobody else waits');
  register(OTHER);
  assert.is(abandon(), WAKE, 'it is unlocked: the other can have it');
  lock(5);
  assert.is(abandon(), DONE);
  assert.is(unlockContended(5), WAKE, 'the owner was told');
});

test('a freed mutex is refused by every operation, also when another lives in its place', () => {
  const old = newLock();
  const { region, offset } = old.mutex;
  for (const revive of [() => {}, () => assert.is(new Mutex({ region }).offset, offset)]) {
    if (old.mutex.serial === region.i32[(offset + OBJECT_SERIAL) >> 2]) old.mutex.free();
    revive();
    assert.is(old.lock(1), BUSY);
    assert.is(old.glance(1), FREED);
    assert.is(old.lockContended(1), FREED);
    assert.is(old.unlock(1), BUSY);
    assert.is(old.unlockContended(1), FREED);
  }
});

test('a serial is never such that the word of a freed mutex could be taken for its own', () => {
  const { kernel, i32 } = newRegion();
  for (const before of [-1, 2 ** (32 - STAMP_SHIFT) - 1, 2 ** 31 - 2, 2 ** 31 - 1]) {
    i32[REGION_SERIAL >> 2] = before;
    for (const serial of [kernel.nextSerial(), kernel.nextSerial()]) {
      assert.ok(serial > 0, `${serial} after ${before}`);
      assert.is.not(serial << STAMP_SHIFT, 0, `${serial} after ${before}`);
    }
  }
});

// Ring

/** Places where 32-bit arithmetic could go wrong; positions count in twos. */
const starts = [0, 2 ** 31 - 2, 2 ** 31 - 4, 2 ** 31 - 6, 2 ** 32 - 2, 2 ** 32 - 4, 2 ** 32 - 8];

/** The kernel's ring operations on a queue of `capacity` items whose positions start at `position`. */
function newRing(capacity: number, position: number, options: Partial<QueueOptions<number>> = {}) {
  const region = newRegion();
  const { kernel, record, i64, slot } = region;
  const queue = new Queue<number>({ region, capacity, position, codec: codec.f64, ...options });
  const { offset, serial } = queue;
  const mail = (record + THREAD_MAIL) >> 3;
  const batch = (record + THREAD_BATCH) >> 3;
  return {
    region,
    queue,
    put(value: number): number {
      i64[mail] = BigInt(value);
      return kernel.ringPut(offset, serial, record);
    },
    get(): number {
      const said = kernel.ringGet(offset, serial, record);
      return said > 0 ? Number(i64[mail]) : said;
    },
    putMany(values: number[]): number {
      for (const [i, value] of values.entries()) i64[batch + i] = BigInt(value);
      return kernel.ringPutMany(offset, serial, record, values.length);
    },
    getMany(most: number): number[] | number {
      const said = kernel.ringGetMany(offset, serial, record, most);
      return said > 0 ? Array.from(i64.subarray(batch, batch + said), Number) : said;
    },
    getBlock(): number {
      const said = kernel.ringGetBlock(offset, serial, record, slot + 1);
      return said > 0 ? Number(i64[mail]) : said;
    },
    size: () => kernel.ringSize(offset),
    finish: (n: number) => kernel.ringFinish(offset, n),
    unfinished: () => kernel.ringUnfinished(offset),
    readable: () => kernel.ringReadable(offset) !== 0,
    writable: () => kernel.ringWritable(offset) !== 0,
    close: () => kernel.ringClose(offset),
  };
}

/** Runs a test at every start for tiny capacities, powers of two and others. */
function everywhere(name: string, run: (ring: ReturnType<typeof newRing>, capacity: number) => void): void {
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
  while (ring.get() !== CLOSED);
  assert.equal([ring.readable(), ring.writable()], [true, true], 'never again: a waiter must learn that');
});

everywhere('a closed ring takes nothing, and gives what it has', (ring, capacity) => {
  for (let n = 1; n <= capacity; n++) ring.put(n);
  ring.close();
  ring.close();
  assert.is(ring.put(9), CLOSED);
  assert.is(ring.putMany([9]), CLOSED);
  for (let n = 1; n <= capacity; n++) assert.is(ring.get(), n);
  assert.is(ring.get(), CLOSED);
  assert.is(ring.getMany(2), CLOSED);
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
});

// Blocks

test('every block is claimed once, from a starting point on, and again after it was freed', () => {
  const { region, queue } = newRing(2, 0, { codec: codec.any as never });
  const { kernel } = region;
  const { offset } = queue;
  const claimed: number[] = [];
  for (let i = kernel.blockClaim(offset, 1, 3); i >= 0; i = kernel.blockClaim(offset, 1, 3)) claimed.push(i);
  assert.equal(claimed.slice(0, 3), [3, 4, 5]);
  assert.equal(new Set(claimed), new Set(claimed.keys()), 'all of them, also those before the start');
  const state = () => region.i32[(kernel.blockAt(offset, 1) + BLOCK_STATE) >> 2];
  assert.is(state(), 1 << 1);
  kernel.blockFree(kernel.blockAt(offset, 1));
  assert.is(state(), BLOCK_FREE);
  assert.is(kernel.blockClaim(offset, 7, 0), 1);
  assert.is(state(), 7 << 1);
});

test('a block belongs to the ring while it is sent, and to the thread that takes it, at every position', () => {
  for (const position of starts) {
    const ring = newRing(2, position, { codec: codec.any as never });
    const { kernel, i32, slot } = ring.region;
    const { offset } = ring.queue;
    for (let round = 0; round < 6; round++) {
      const block = kernel.blockAt(offset, kernel.blockClaim(offset, slot + 1, 0));
      assert.is(ring.put(block), DONE);
      assert.is(i32[(block + BLOCK_STATE) >> 2], ((position + 2 * round) | 1) >> 0);
      assert.is(ring.getBlock(), block);
      assert.is(i32[(block + BLOCK_STATE) >> 2], (slot + 1) << 1);
      kernel.blockFree(block);
    }
  }
});

test('a consumer that took a block and died before it moved the head is helped by the next', () => {
  const ring = newRing(2, 0, { codec: codec.any as never });
  const { kernel, i32, slot } = ring.region;
  const { offset } = ring.queue;
  const [first, second] = [0, 1].map((i) => kernel.blockAt(offset, kernel.blockClaim(offset, slot + 1, i)));
  ring.put(first as number);
  ring.put(second as number);
  i32[((first as number) + BLOCK_STATE) >> 2] = (OTHER + 1) << 1; // the first step of the other's get
  assert.is(ring.getBlock(), second);
  assert.is(ring.getBlock(), BUSY);
  assert.is(i32[((first as number) + BLOCK_STATE) >> 2], (OTHER + 1) << 1, 'the first is still the other’s');
});

test.run();
