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
  lock(mutex: number, free: number, held: number): number;
  lockGlance(mutex: number, free: number, held: number): number;
  lockContended(mutex: number, free: number, held: number): number;
  unlock(mutex: number, free: number, held: number): number;
  unlockContended(mutex: number, free: number, held: number): number;
  lockAbandon(mutex: number, free: number): number;
  lockKill(mutex: number): void;
  lockOwner(mutex: number): number;
  ringPut(queue: number, serial: number, me: number): number;
  ringPutMany(queue: number, serial: number, me: number, count: number): number;
  ringGet(queue: number, serial: number, me: number): number;
  ringGetBlock(queue: number, serial: number, me: number, owner: number): number;
  ringGetMany(queue: number, serial: number, me: number, most: number): number;
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
  pipeEnter(end: number, serial: number, me: number): number;
  pipeLeave(end: number, me: number): number;
  pipeOwner(end: number): number;
  broadcastPublish(broadcast: number, serial: number, slot: number): number;
  broadcastWritable(broadcast: number): number;
  broadcastSleeper(broadcast: number, from: number): number;
  broadcastClose(broadcast: number): void;
  broadcastSubscribe(broadcast: number, serial: number, slot: number, subscription: number): number;
  subscriptionTake(subscription: number, serial: number, slot: number): number;
  subscriptionReadable(subscription: number): number;
  subscriptionMissed(subscription: number): number;
  subscriptionLeave(subscription: number, owner: number): number;
}

let compiled: WebAssembly.Module | undefined;

/** @internal The kernel's operations on one region's memory. */
export function loadKernel(memory: WebAssembly.Memory): Kernel {
  compiled ??= new WebAssembly.Module(readFileSync(new URL('../kernel/kernel.wasm', import.meta.url)));
  return new WebAssembly.Instance(compiled, { env: { memory } }).exports as unknown as Kernel;
}
