import { Event, Mutex, Queue, RLock, RwLock, Semaphore, share, Value } from '../lib/index.ts';
import { onCrew } from './crew.ts';
import { timed } from './latency.bench.ts';
import { HAND_OVERS, type HandOver, TURNS } from './primitives.jobs.ts';
import { inThread, type Rival, type Scenario } from './scenario.ts';

const here = new URL('./primitives.jobs.js', import.meta.url).href;

/** A rival that does `one()` again and again in this thread. */
const again = (name: string, make: () => () => unknown): Rival =>
  inThread(name, () => {
    const one = make();
    return (times) => {
      for (let i = 0; i < times; i++) one();
    };
  });

const alone: Scenario = {
  name: 'primitives alone: each costs about what a Mutex costs',
  how: 'one pair, or one operation, in one thread, nobody else wanting it; the median of batches of 10,000',
  unit: 'ns',
  better: 'less',
  threads: 1,
  rounds: 15,
  compare: true,
  rivals: [
    again('Mutex, lock and unlock', () => {
      const mutex = new Mutex();
      return () => {
        mutex.lock();
        mutex.unlock();
      };
    }),
    again('RLock, lock and unlock', () => {
      const rlock = new RLock();
      return () => {
        rlock.lock();
        rlock.unlock();
      };
    }),
    again('Semaphore, acquire and release', () => {
      const semaphore = new Semaphore({ permits: 2 });
      return () => {
        semaphore.acquire();
        semaphore.release();
      };
    }),
    again('Event, isSet', () => {
      const event = new Event();
      return () => event.isSet;
    }),
    again('Value, add', () => {
      const value = new Value({ type: 'i32' });
      return () => value.add(1);
    }),
    again('RwLock, read lock and unlock', () => {
      const { read } = new RwLock();
      return () => {
        read.lock();
        read.unlock();
      };
    }),
  ],
};

/** Two threads on the same lock. */
const two = (name: string, job: string, make: () => unknown): Rival =>
  onCrew(name, {
    jobs: () => {
      const data = make();
      return [1, 2].map(() => ({ module: here, name: job, data }));
    },
    factor: 2,
  });

const reading: Scenario = {
  name: 'read-mostly: readers of a RwLock do not wait for each other',
  how: `two threads, each with the lock for a loop of ${TURNS} turns (about 1 us) again and again`,
  unit: 'M sections/s',
  better: 'more',
  threads: 2,
  rounds: 11,
  compare: true,
  rivals: [
    two('RwLock, read side', 'readLocked', () => share(new RwLock())),
    two('Mutex', 'mutexLocked', () => share(new Mutex())),
  ],
};

/** Two threads, of which one sleeps until the other wakes it; the median time from the one to the other. */
const handingOver = (name: string, giver: string, taker: string): Rival =>
  timed(name, HAND_OVERS, (times, word) => {
    const data: HandOver = { word, times, there: share(new Event()) };
    return [giver, taker].map((job) => ({ module: here, name: job, data }));
  });

const handOver: Scenario = {
  name: 'hand-over: to wake one who sleeps costs what the futex costs',
  how: `from just before set() to the line behind wait() in a thread that has slept for some time; the median of ${HAND_OVERS} in a round`,
  unit: 'us',
  better: 'less',
  threads: 2,
  rounds: 15,
  compare: true,
  rivals: [
    handingOver('Event, set and wait', 'setEvents', 'waitForEvents'),
    handingOver('raw Atomics.notify and wait', 'notifyRaw', 'waitRaw'),
  ],
};

const ITEMS = 10_000;

/** `take` of each of 10,000 items that are there, awaited one after another. */
const awaiting = (name: string, take: (queue: Queue<number>) => Promise<unknown>): Rival => {
  let queue: Queue<number>;
  const round = async () => {
    for (let i = 0; i < ITEMS; i++) queue.put(i);
    const start = performance.now();
    for (let i = 0; i < ITEMS; i++) await take(queue);
    return ((performance.now() - start) * 1e6) / ITEMS;
  };
  return {
    name,
    async start() {
      queue = new Queue({ capacity: ITEMS });
      for (let i = 0; i < 20; i++) await round();
    },
    round,
    stop: () => queue.free(),
  };
};

const asynchronous: Scenario = {
  name: 'getAsync: of a queue that has items it makes no waitAsync',
  how: `${ITEMS.toLocaleString('en-US')} numbers of the default codec, awaited one after another`,
  unit: 'ns an item',
  better: 'less',
  threads: 1,
  rounds: 15,
  compare: true,
  rivals: [
    awaiting('getAsync', (queue) => queue.getAsync()),
    awaiting('get in an async function', async (queue) => queue.get()),
  ],
};

/** The scenarios of the other primitives. */
export const primitives: readonly Scenario[] = [alone, reading, handOver, asynchronous];
