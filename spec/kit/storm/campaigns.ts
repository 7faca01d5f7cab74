import { BLOCK_DATA, BLOCK_STATE, QUEUE_BLOCKS, TAKEN, THREAD_MAIL } from '../../../lib/kernel/layout.ts';
import type { Region } from '../../../lib/memory/region.ts';
import { Pool } from '../../../lib/pool/pool.ts';
import { Broadcast } from '../../../lib/queue/broadcast.ts';
import { codec } from '../../../lib/queue/codec.ts';
import { pipe } from '../../../lib/queue/pipe.ts';
import { Queue } from '../../../lib/queue/queue.ts';
import { Barrier } from '../../../lib/sync/barrier.ts';
import { Condition } from '../../../lib/sync/condition.ts';
import { Mutex } from '../../../lib/sync/mutex.ts';
import { RwLock } from '../../../lib/sync/rwlock.ts';
import { Semaphore } from '../../../lib/sync/semaphore.ts';
import { random } from '../random.ts';
import { Crew, count, type Fallen, PATIENCE, type Tally, Wedge } from './crew.ts';
import {
  DELIVERIES,
  ERRORS,
  IDS,
  NUMBERS,
  OBJECTS,
  PAIR,
  QUEUES,
  READ_PAIR,
  SENT,
  TAKING,
  TOKENS,
  WORDS,
} from './jobs.ts';

// One campaign: a crew, so many kills in it, an end in good order, and a look at what must be true then.

export type Campaign = (region: Region, kills: number, seed: number, tally: Tally) => Promise<void>;

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

async function storm(crew: Crew, kills: number, isOver: () => boolean = () => false): Promise<void> {
  while (crew.kills < kills && !isOver()) {
    await crew.strike();
  }
}

/** Makes a crew, and leaves nobody behind when something fails. */
async function withCrew(crew: Crew, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } finally {
    await crew.dismiss();
  }
}

const bytes = (): Uint8Array => new Uint8Array(new SharedArrayBuffer(IDS));

/** Queues of numbers, of objects and of what is redelivered: each item that was sent is taken once. */
const queues: Campaign = async (region, kills, seed, tally) => {
  const numbers = new Queue<number>({ region, capacity: 7, codec: codec.i32, name: 'numbers' });
  const objects = new Queue<{ id: number; text: string }>({ region, capacity: 5, blockBytes: 64, name: 'objects' });
  const deliveries = new Queue<number>({ region, capacity: 6, codec: codec.i32, redeliver: true, name: 'deliveries' });
  const [sent, got, done, back] = [bytes(), bytes(), bytes(), bytes()];
  const lastNumbers = new Set<number>(); // what a dead thread took last, if it was a number
  let inTheAct = 0; // dead threads that may have taken an object
  const before = cameBack(region);
  const args = { numbers, objects, deliveries, sent, got, done, next: new Int32Array(new SharedArrayBuffer(4)) };
  const onFall = ({ index, record, slot }: Fallen): void => {
    if (record < 0) return;
    const mail = region.i32[(record + THREAD_MAIL) >> 2] ?? 0;
    if (mail < 0) lastNumbers.add(-1 - mail);
    inTheAct += crew.board[index * WORDS + TAKING] ?? 0;
    for (const id of unacknowledged(region, deliveries, slot)) back[id] = (back[id] ?? 0) + 1;
  };
  const crew = new Crew(
    region,
    ['produce', 'produce', 'consume', 'consume', 'consume'],
    () => args,
    tally,
    seed,
    onFall,
  );
  await withCrew(crew, async () => {
    await storm(crew, kills, () => (args.next[0] ?? 0) > IDS / 2);
    for (const queue of [numbers, objects, deliveries]) queue.close();
    await crew.end();
    deliveries.join({ timeout: 0 });
  });
  for (const queue of [numbers, objects, deliveries] as Queue<never>[]) {
    check(queue.size === 0, `${queue.name} holds ${queue.size} items at the end`);
    check(queue.closed && isEnded(queue), `${queue.name} has not ended`);
  }
  let lostObjects = 0;
  let again = 0; // deliveries of an item beyond the first, and beyond those that are known to have come back
  for (let id = 0; id < Math.min(IDS, args.next[0] ?? 0); id++) {
    const [times, returns] = [got[id] ?? 0, back[id] ?? 0];
    tally.returned += returns;
    if (id % QUEUES === DELIVERIES) again += Math.max(0, times - 1 - returns);
    else if (times > 1) tally.duplicates++;
    if ((done[id] ?? 0) > 1) tally.duplicates++;
    if (times > 0 || sent[id] !== SENT) continue;
    const way = id % QUEUES;
    if (way === NUMBERS && lastNumbers.has(id)) tally.taken++;
    else if (way === OBJECTS) lostObjects++;
    else tally.lost++;
  }
  // Of a thread that buried itself it is known how many items came back, and not which.
  const unnamed = cameBack(region) - before - back.reduce((sum, times) => sum + times, 0);
  tally.returned += unnamed;
  tally.duplicates += Math.max(0, again - unnamed);
  tally.taken += Math.min(lostObjects, inTheAct);
  tally.lost += Math.max(0, lostObjects - inTheAct);
  for (const queue of [numbers, objects, deliveries]) queue.free();
};

/** How many items came back in the region, ever. */
function cameBack(region: Region): number {
  const { returned = 0 } = region.inspect().repairs;
  return returned;
}

function isEnded(queue: Queue<never>): boolean {
  try {
    return queue.tryGet() !== undefined && false;
  } catch {
    return true;
  }
}

/** The items of a dead thread, before the repair. */
function unacknowledged({ kernel, i32 }: Region, { offset }: Queue<number>, slot: number): number[] {
  const blocks = Array.from({ length: i32[(offset + QUEUE_BLOCKS) >> 2] ?? 0 }, (_, index) => {
    return kernel.blockAt(offset, index);
  });
  const taken = ((slot + 1) | TAKEN) << 1;
  return blocks
    .filter((block) => kernel.peek(block + BLOCK_STATE) === taken)
    .map((block) => i32[(block + BLOCK_DATA) >> 2] ?? 0);
}

const locks: Campaign = async (region, kills, seed, tally) => {
  const [mutex, guard] = [new Mutex({ region, name: 'mutex' }), new Mutex({ region, name: 'guard' })];
  const rwlock = new RwLock({ region, name: 'rwlock' });
  const semaphore = new Semaphore({ region, permits: 2, max: 2, name: 'semaphore' });
  const condition = new Condition({ region, mutex: guard, name: 'tokens' });
  const words = new Int32Array(new SharedArrayBuffer(32));
  const crew = new Crew(
    region,
    ['enter', 'enter', 'enter'],
    () => ({ mutex, guard, rwlock, semaphore, condition, words }),
    tally,
    seed,
  );
  await withCrew(crew, async () => {
    await storm(crew, kills);
    Atomics.store(crew.stop, 0, 1);
    guard.recover(() => {});
    guard.with(() => condition.notifyAll());
    await crew.end();
  });
  mutex.recover(() => {
    words[PAIR + 1] = words[PAIR] ?? 0;
  });
  rwlock.recover(() => {
    words[READ_PAIR + 1] = words[READ_PAIR] ?? 0;
  });
  check(words[ERRORS] === 0, `${words[ERRORS]} times somebody was inside who should not`);
  check(semaphore.available === 2, `${semaphore.available} permits of 2 are left`);
  check(!mutex.locked && !guard.locked && rwlock.write.tryLock(), 'a lock is held by nobody');
  check((words[TOKENS] ?? 0) > -10, 'more tokens were taken than given');
  rwlock.write.unlock();
  for (const one of [condition, mutex, guard, rwlock, semaphore]) one.free();
};

const barrier: Campaign = async (region, kills, seed, tally) => {
  const barrier = new Barrier({ region, parties: 2, name: 'meeting' });
  const crew = new Crew(region, ['meet', 'meet'], () => ({ barrier }), tally, seed);
  await withCrew(crew, async () => {
    await storm(crew, kills);
    Atomics.store(crew.stop, 0, 1);
    barrier.abort();
    await crew.end();
  });
  barrier.reset();
  check(barrier.waiting === 0 && !barrier.broken, 'the barrier is not as new');
  barrier.free();
};

const broadcast: Campaign = async (region, kills, seed, tally) => {
  const broadcast = new Broadcast<number>({ region, capacity: 4, codec: codec.i32, name: 'news' });
  const words = new Int32Array(new SharedArrayBuffer(32));
  const next = new Int32Array(new SharedArrayBuffer(4));
  const crew = new Crew(region, ['publish', 'hear', 'hear'], () => ({ broadcast, words, next }), tally, seed);
  await withCrew(crew, async () => {
    await storm(crew, kills);
    broadcast.close();
    await crew.end();
  });
  check(words[ERRORS] === 0, `${words[ERRORS]} numbers came to a subscriber out of turn`);
  broadcast.free();
};

const pipes: Campaign = async (region, kills, seed, tally) => {
  let ends = pipe<number>({ region, capacity: 2, codec: codec.i32 });
  const crew = new Crew(region, ['ask', 'answer'], () => ({ ends }), tally, seed);
  await withCrew(crew, async () => {
    while (crew.kills < kills) {
      await crew.strike(false);
      await crew.end(); // who was left learns that the other end is gone
      ends[0].free();
      ends = pipe<number>({ region, capacity: 2, codec: codec.i32 });
      for (const index of [0, 1]) crew.spawn(index);
    }
  });
  ends[0].free();
};

/** A pool whose tasks are aborted while they hold a lock; the others give their results. */
const pool: Campaign = async (region, kills, seed, tally) => {
  const mutex = new Mutex({ region });
  const pool = new Pool(new URL('./tasks.js', import.meta.url), { threads: 2, region });
  const dice = random(seed);
  const sums: Promise<unknown>[] = [];
  try {
    for (let n = 0; n < kills; n++) {
      const begun = new Int32Array(new SharedArrayBuffer(4));
      const abort = new AbortController();
      const held = pool
        .run({ mutex, begun }, { name: 'hold', signal: abort.signal, terminate: true })
        .catch((error) => error);
      for (let i = 0; i < 3; i++)
        sums.push(pool.run([n, i], { name: 'add' }).then((sum) => check(sum === n + i, 'a sum')));
      await within(region, () => begun[0] === 1);
      await new Promise((resolve) => setTimeout(resolve, dice(3)));
      abort.abort();
      check((await soon(region, held)) === abort.signal.reason, 'an aborted task says why it ended');
      await within(region, () => mutex.region.inspect().locks.every(({ ownerDied }) => ownerDied === true));
      mutex.recover(() => {});
      count(tally, 'aborted', 1);
    }
    await soon(region, Promise.all(sums));
  } finally {
    await soon(region, pool.close());
  }
  mutex.free();
};

/** What has been promised, or a wedge. */
async function soon<R>(region: Region, promise: Promise<R>): Promise<R> {
  let settled = false;
  void promise
    .catch(() => {})
    .then(() => {
      settled = true;
    });
  await within(region, () => settled);
  return promise;
}

async function within(region: Region, condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    if (turns > PATIENCE) throw new Wedge('waited for the pool', region);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

export const campaigns: Readonly<Record<string, Campaign>> = { queues, locks, barrier, broadcast, pipes, pool };
