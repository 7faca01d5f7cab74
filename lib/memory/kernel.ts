/**
 * Loads the kernel: the operations on words that several threads change at once, compiled to WebAssembly.
 * The module is compiled once a process: V8 shares the native code of equal bytes between threads.
 */
import { readFileSync } from 'node:fs';

/** The exports of lib/kernel; addresses and slots are plain numbers, see each file there. */
export interface Kernel {
  pieceClaim(units: number, slot: number, zeroed: number): number;
  pieceClaimPart(most: number, slot: number): number;
  pieceAt(unit: number): number;
  pieceSeal(unit: number): void;
  pieceFree(unit: number): number;
  pieceBury(slot: number): number;
  pieceUnits(unit: number): number;
  pieceState(unit: number): number;
  spaceWant(): void;
  spaceWanted(): number;
  nextSerial(): number;
  register(set: number, slot: number): void;
  unregister(set: number, slot: number): number;
  isRegistered(set: number, slot: number): number;
  waiting(set: number): number;
  takeWaiter(set: number, from: number): number;
  parkBegin(record: number): number;
  parkEnd(record: number): void;
  unpark(record: number): number;
  threadJoin(record: number, claim: number): number;
  threadLeave(record: number): void;
  threadClaim(record: number): number;
  lock(mutex: number, held: number): number;
  lockGlance(mutex: number, held: number): number;
  lockContended(mutex: number, held: number, long: number): number;
  unlock(mutex: number, held: number): number;
  unlockContended(mutex: number, held: number): number;
  lockAbandon(mutex: number, held: number): number;
  lockBury(mutex: number, owner: number): number;
  lockPardon(mutex: number): void;
  lockRecover(mutex: number, held: number): number;
  lockForsake(mutex: number, held: number): void;
  lockKill(mutex: number): void;
  lockOwner(mutex: number): number;
  lockHolder(mutex: number): number;
  lockHeld(mutex: number, held: number): number;
  ringPut(queue: number, serial: number, payload: number): number;
  ringPutBlock(queue: number, serial: number, me: number, block: number): number;
  ringPutWide(queue: number, serial: number, me: number, owner: number): number;
  ringPutMany(queue: number, serial: number, me: number, owner: number, count: number): number;
  ringGet(queue: number, serial: number, me: number): number;
  ringGetBlock(queue: number, serial: number, me: number, owner: number): number;
  ringGetMany(queue: number, serial: number, me: number, most: number): number;
  ringClaimOf(queue: number, owner: number): number;
  ringClaimed(queue: number, position: number): number;
  ringBury(queue: number, position: number): void;
  ringWasHeld(queue: number, block: number, me: number, owner: number, position: number, count: number): number;
  ringEnded(queue: number): number;
  ringReadable(queue: number): number;
  ringWritable(queue: number): number;
  ringSize(queue: number): number;
  ringClose(queue: number): void;
  ringClosed(queue: number): number;
  ringUnfinished(queue: number): number;
  ringFinish(queue: number, n: number): number;
  blockClaim(queue: number, serial: number, owner: number, from: number): number;
  blockAt(queue: number, index: number): number;
  blockFree(block: number): void;
  rlock(mutex: number, held: number): number;
  rlockAgain(mutex: number, held: number): number;
  runlock(mutex: number, held: number): number;
  rwJoin(rwlock: number, slot: number): void;
  rwBury(rwlock: number, slot: number): number;
  readLock(rwlock: number, serial: number, slot: number): number;
  readUnlock(rwlock: number, serial: number, slot: number): number;
  readHeld(rwlock: number, slot: number): number;
  readDecline(rwlock: number, slot: number): number;
  readAdmit(rwlock: number): number;
  writeBar(rwlock: number): void;
  writeEnter(rwlock: number, serial: number): number;
  drained(rwlock: number): number;
  writing(rwlock: number): number;
  writeOpen(rwlock: number): void;
  conditionEnter(condition: number, serial: number, slot: number): number;
  conditionTake(condition: number, serial: number, slot: number): number;
  conditionNotify(condition: number): number;
  conditionLeave(condition: number, slot: number): number;
  conditionForget(condition: number, slot: number): number;
  semaphoreAcquire(semaphore: number, serial: number, slot: number, n: number): number;
  semaphoreAttempt(semaphore: number, serial: number, slot: number, n: number): number;
  semaphoreRelease(semaphore: number, serial: number, slot: number, n: number): number;
  semaphoreSettle(semaphore: number, serial: number, from: number, left: number): number;
  semaphoreAvailable(semaphore: number): number;
  eventChanges(event: number): number;
  eventChange(event: number, from: number): number;
  barrierRound(barrier: number): number;
  barrierResets(barrier: number): number;
  barrierArrive(barrier: number, round: number): number;
  barrierEnded(barrier: number, round: number, resets: number): number;
  barrierBreak(barrier: number, round: number): number;
  barrierReset(barrier: number): number;
  barrierArrived(barrier: number): number;
  latchDown(latch: number, n: number): number;
  latchCount(latch: number): number;
  valueLoad(value: number): number;
  valueStore(value: number, next: number): void;
  valueAdd(value: number, n: number): number;
  valueExchange(value: number, expected: number, next: number): number;
  valueLoad64(value: number): bigint;
  valueStore64(value: number, next: bigint): void;
  valueAdd64(value: number, n: bigint): bigint;
  valueExchange64(value: number, expected: bigint, next: bigint): bigint;
  valueLoadF64(value: number): number;
  valueStoreF64(value: number, next: number): void;
  valueAddF64(value: number, n: number): number;
  valueExchangeF64(value: number, expected: number, next: number): number;
  waitBegin(record: number, object: number, serial: number, set: number, endless: number, since: number): void;
  waitEnd(record: number): void;
  waitTicket(record: number): number;
  waitSince(record: number): number;
  peek(address: number): number;
}

let compiled: WebAssembly.Module | undefined;

/** @internal The kernel's operations on one region's memory. */
export function loadKernel(memory: WebAssembly.Memory): Kernel {
  compiled ??= new WebAssembly.Module(readFileSync(new URL('../kernel/kernel.wasm', import.meta.url)));
  return new WebAssembly.Instance(compiled, { env: { memory } }).exports as unknown as Kernel;
}
