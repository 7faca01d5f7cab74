import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  BUSY,
  CONTENDED,
  DEAD,
  DONE,
  FREED,
  HAND,
  HANDED,
  MUTEX_WAITERS,
  MUTEX_WORD,
  OBJECT_SERIAL,
  OWNER_DIED,
  REGION_SERIAL,
  STAMP_SHIFT,
  WAKE,
} from '../lib/kernel/layout.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { newRegion } from './kit/regions.ts';

const OTHER = 1; // a slot that nobody uses

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
    lock: (owner: number) => kernel.lock(offset, free | owner),
    glance: (owner: number) => kernel.lockGlance(offset, free | owner),
    lockContended: (owner: number, long = false) => kernel.lockContended(offset, free | owner, Number(long)),
    unlock: (owner: number) => kernel.unlock(offset, free | owner),
    unlockContended: (owner: number) => kernel.unlockContended(offset, free | owner),
    abandon: (owner = 9) => kernel.lockAbandon(offset, free | owner),
    bury: (owner: number) => kernel.lockBury(offset, owner),
    recover: (owner: number) => kernel.lockRecover(offset, free | owner) !== 0,
    forsake: (owner: number) => kernel.lockForsake(offset, free | owner),
    owner: () => kernel.lockOwner(offset),
    isHeld: (owner: number) => kernel.lockHeld(offset, free | owner) !== 0,
    isRegistered: (slot: number) => kernel.isRegistered(offset + MUTEX_WAITERS, slot) !== 0,
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

test('a waiter that has waited for long is handed the lock, and nobody else can have it', () => {
  const { lock, glance, lockContended, unlock, unlockContended, isHeld, isRegistered, register, word } = newLock();
  lock(5);
  register(OTHER);
  register(OTHER + 1);
  assert.is(lockContended(OTHER + 1, true), BUSY);
  assert.is(unlock(5), BUSY);
  assert.is(unlockContended(5), HAND + OTHER);
  assert.is(word(), (OTHER + 1) | HANDED | CONTENDED);
  assert.equal([isRegistered(OTHER), isRegistered(OTHER + 1)], [false, true]);
  assert.equal([lock(5), glance(5), lockContended(OTHER + 2), lock(OTHER + 1)], [BUSY, BUSY, BUSY, BUSY]);
  assert.equal([isHeld(OTHER + 1), unlock(OTHER + 1), unlockContended(OTHER + 1)], [false, BUSY, BUSY]);
  assert.is(lockContended(OTHER + 1), DONE);
  assert.equal([isHeld(OTHER + 1), word()], [true, (OTHER + 1) | CONTENDED]);
  assert.is(unlockContended(OTHER + 1), WAKE, 'nobody has waited for long');
});

test('a waiter that waits for long and is awake is handed nothing, and may say so again', () => {
  const { lock, lockContended, unlockContended, register, word } = newLock();
  lock(5);
  assert.is(lockContended(OTHER + 1, true), BUSY);
  assert.is(unlockContended(5), WAKE, 'it is not in the wait set');
  assert.is(word(), 0);
  lock(5);
  register(OTHER);
  assert.is(lockContended(OTHER + 1, true), BUSY);
  assert.is(unlockContended(5), HAND + OTHER);
});

test('a waiter that gives up what it was handed gives it to another, or leaves it free', () => {
  const { lock, lockContended, unlockContended, abandon, register, word } = newLock();
  lock(5);
  for (const slot of [OTHER, OTHER + 1]) register(slot);
  assert.is(lockContended(OTHER + 1, true), BUSY);
  assert.is(unlockContended(5), HAND + OTHER);
  assert.is(lockContended(OTHER + 2, true), BUSY);
  assert.is(abandon(OTHER + 1), HAND + OTHER + 1);
  assert.is(abandon(OTHER + 2), WAKE);
  assert.is(word(), 0);
});

test('a waiter that leaves is handed nothing any more', () => {
  const { lock, lockContended, unlockContended, abandon, register, word } = newLock();
  lock(5);
  assert.is(lockContended(OTHER + 1, true), BUSY);
  assert.is(abandon(OTHER + 1), DONE);
  register(OTHER); // for something else: a promise of the same thread
  assert.is(lockContended(OTHER + 1), BUSY);
  assert.is(unlockContended(5), WAKE);
  assert.is(word(), 0);
});

test('what a dead thread held is known as that, what was handed to it is free, and the rest is as it was', () => {
  const { lock, glance, lockContended, unlockContended, abandon, bury, recover, forsake, register, word } = newLock();
  assert.equal([bury(5), word()], [DONE, 0]);
  lock(6);
  assert.equal([bury(5), word()], [DONE, 6]);
  register(OTHER);
  assert.is(lockContended(OTHER + 1, true), BUSY);
  assert.is(bury(6), OWNER_DIED);
  assert.is(word(), DEAD);
  assert.equal([lock(7), glance(7), lockContended(7, true)], [0, OWNER_DIED, OWNER_DIED]);
  assert.equal([unlockContended(6), abandon(7), word()], [BUSY, DONE, DEAD]);
  assert.equal([recover(7), recover(8), word()], [true, false, 7]);
  forsake(7);
  assert.equal([word(), recover(8)], [DEAD, true]);
  register(OTHER);
  assert.is(lockContended(OTHER + 1, true), BUSY);
  assert.is(unlockContended(8), HAND + OTHER);
  assert.equal([bury(OTHER + 1), word()], [DONE, 0], 'it never knew');
  lock(8);
  register(OTHER);
  assert.is(lockContended(OTHER + 1, true), BUSY);
  assert.is(unlockContended(8), HAND + OTHER);
  assert.equal([bury(8), word()], [DONE, 0], 'who handed it over may have died before it could take it back');
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

test.run();
