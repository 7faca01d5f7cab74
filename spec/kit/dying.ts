import { Worker } from 'node:worker_threads';
import { serve } from '../../lib/bridge/socket.ts';
import { share } from '../../lib/memory/handles.ts';
import { type Region, supervise } from '../../lib/memory/region.ts';
import type { Queue } from '../../lib/queue/queue.ts';
import type { Barrier } from '../../lib/sync/barrier.ts';
import type { Condition } from '../../lib/sync/condition.ts';
import type { Mutex } from '../../lib/sync/mutex.ts';
import type { RwLock } from '../../lib/sync/rwlock.ts';
import type { Semaphore } from '../../lib/sync/semaphore.ts';
import type { Order } from './crew.ts';
import { ENTERED, type Gate, OPEN } from './tasks.ts';
import { until } from './until.ts';

// What the threads of supervisor.spec do until they are terminated.

/** Tells that it has begun, and hangs. */
function hang(gate: Gate): never {
  Atomics.add(gate, ENTERED, 1);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  throw new Error('nobody wakes it');
}

export interface Holdings {
  readonly semaphore: Semaphore;
  readonly rwlock: RwLock;
  readonly mutex: Mutex;
  readonly gate: Gate;
}

/** Holds three permits, a read and a mutex. */
export function holdAll({ semaphore, rwlock, mutex, gate }: Holdings): void {
  semaphore.acquire(3);
  rwlock.read.lock();
  mutex.lock();
  hang(gate);
}

/** Runs another one in a worker of its own, which it supervises; with `exits`, until that has come so far. */
export async function startAnother({ name, args, gate, exits }: Heir): Promise<void> {
  const order: Order = { module: import.meta.url, name, index: 0, args: share(args) };
  const worker = new Worker(new URL('./crew-worker.js', import.meta.url), { workerData: order });
  supervise(worker);
  worker.once('message', () => worker.postMessage('go'));
  if (exits) {
    await until(() => Atomics.load(gate, ENTERED) > 0);
    process.exit();
  }
}

export interface Heir {
  readonly name: string;
  readonly args: object;
  readonly gate: Gate;
  readonly exits?: boolean;
}

/** Notifies all, and keeps the lock. */
export function notifyAndHang({ condition, gate }: { condition: Condition; gate: Gate }): void {
  condition.mutex.lock();
  condition.notifyAll();
  hang(gate);
}

export function waitAt({ barrier, gate }: { barrier: Barrier; gate: Gate }): number {
  Atomics.add(gate, ENTERED, 1);
  return barrier.wait();
}

/** A value whose encoding never ends. */
export function putForever({ queue, gate }: { queue: Queue<unknown>; gate: Gate }): void {
  queue.put({
    get endless() {
      return hang(gate);
    },
  });
}

/** Claims a piece as one that builds an object, and hangs. */
export function buildForever({ region, gate }: { region: Region; gate: Gate }): void {
  region.pieces.claim(10_000, true);
  hang(gate);
}

export interface Shift {
  readonly queue: Queue<unknown>;
  /** How many it takes, and for how many of these it says that they are done. */
  readonly takes: number;
  readonly done: number;
  readonly gate: Gate;
}

/** Takes items, acknowledges the first of them, and hangs. */
export function takeSome({ queue, takes, done, gate }: Shift): void {
  for (let n = 0; n < takes; n++) queue.get();
  if (done > 0) queue.taskDone(done);
  hang(gate);
}

/** Takes items, says so, waits for a word, acknowledges all, and ends. */
export function takeAndEnd({ queue, takes, gate }: Shift): void {
  for (let n = 0; n < takes; n++) queue.get();
  Atomics.add(gate, ENTERED, 1);
  Atomics.wait(gate, OPEN, 0);
  queue.taskDone(takes);
}

/** Takes numbers until the queue has ended for good, and counts each. */
export function takeAll({ queue, seen, gate }: Shift & { seen: Int32Array }): void {
  Atomics.add(gate, ENTERED, 1);
  for (const item of queue) {
    Atomics.add(seen, item as number, 1);
    queue.taskDone();
  }
}

export interface Storm {
  readonly queue: Queue<Uint8Array>;
  readonly mutex: Mutex;
  readonly rwlock: RwLock;
  readonly semaphore: Semaphore;
  /** Two words that are always the same outside the mutex. */
  readonly pair: Int32Array;
  readonly gate: Gate;
}

/** Does everything at once, until it is terminated: longer and shorter messages, one at a time and many, under locks and not. */
export function rage({ queue, mutex, rwlock, semaphore, pair, gate }: Storm, index: number): never {
  Atomics.add(gate, ENTERED, 1);
  for (let n = index; ; n++) {
    const item = new Uint8Array(n % 7 === 0 ? 900 : n % 100).fill(n);
    if (n % 3 === 0) queue.tryPut(item);
    else if (n % 3 === 1) queue.tryGet();
    else patiently(() => queue.putMany([item, item, item], { timeout: 0 }));
    patiently(() => semaphore.with(() => rwlock.read.with(() => {}, { timeout: 5 }), 1 + (n % 3), { timeout: 5 }));
    if (n % 5 === 0) patiently(() => rwlock.write.with(() => {}, { timeout: 5 }));
    patiently(() =>
      mutex.with(
        () => {
          pair[0] = n;
          pair[1] = n;
        },
        { timeout: 5 },
      ),
    );
  }
}

/** Others die, too, and with them what one waits for. */
function patiently(act: () => void): void {
  try {
    act();
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== 'ERR_TIMEOUT' && code !== 'ERR_OWNER_DIED') throw error;
  }
}

/** Takes items, acknowledges the first, and ends its thread. */
export function takeAndExit({ queue, takes }: Shift): void {
  for (let n = 0; n < takes; n++) queue.get();
  queue.taskDone();
  process.exit();
}

/** Takes items, acknowledges the first, and fails. */
export function takeAndFail({ queue, takes }: Shift): void {
  for (let n = 0; n < takes; n++) queue.get();
  queue.taskDone();
  process.exit(3);
}

/** Waits until all is done; the code of what it throws. */
export function joinUntilDeath({ queue }: { queue: Queue<number> }): string {
  try {
    queue.join();
    return 'done';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

/** Looks at the queue, and ends. */
export function holdAndEnd({ queue }: { queue: Queue<number> }): number {
  return queue.size;
}

/** Ends its thread while it holds a lock. */
export function exitInside({ mutex }: { mutex: Mutex }): never {
  mutex.lock();
  process.exit();
}

/** Serves a queue to other processes. */
export async function serveQueue({
  queue,
  path,
  gate,
}: Pick<Shift, 'queue' | 'gate'> & { path: string }): Promise<void> {
  await serve({ path, queues: { jobs: queue } });
  Atomics.add(gate, ENTERED, 1);
  await new Promise(() => {}); // the server keeps the thread alive
}

export interface Loans {
  readonly queue: Queue<Uint8Array>;
  /** Bytes of each reservation; none, and it receives instead. */
  readonly bytes: readonly number[];
  readonly gate: Gate;
}

/** Reserves messages, or receives as many, and hangs. */
export function holdLoans({ queue, bytes, gate }: Loans): void {
  for (const length of bytes) queue.reserve(length).bytes.fill(9);
  hang(gate);
}

export function holdReceived({ queue, takes, gate }: { queue: Queue<Uint8Array>; takes: number; gate: Gate }): void {
  for (let n = 0; n < takes; n++) queue.receive();
  hang(gate);
}

/** Reserves, commits, abandons, receives and releases, until it is terminated. */
export function lendForever({ queue, gate }: { queue: Queue<Uint8Array>; gate: Gate }, index: number): never {
  Atomics.add(gate, ENTERED, 1);
  for (let n = index; ; n++) {
    const reservation = queue.tryReserve(1 + ((n * 7919) % 900));
    reservation?.bytes.fill(n);
    if (n % 5 === 0) reservation?.abandon();
    else if (reservation && !queue.tryCommit(reservation)) reservation.abandon();
    if (n % 3 === 0) queue.tryGet();
    else queue.tryReceive()?.release();
  }
}
