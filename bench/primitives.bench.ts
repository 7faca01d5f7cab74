import { attach, Event, Mutex, Queue, RLock, RwLock, Semaphore, type Shared, share, Value } from '../lib/index.ts';
import { type Body, Crew, onCrew } from './crew.ts';
import { inThread, quantile, type Rival, type Scenario } from './scenario.ts';
import { work } from './work.ts';

const here = import.meta.url;

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

/** About a microsecond of {@link work}. */
const TURNS = 160;

export function readLocked(shared: Shared<RwLock>): Body {
  const { read } = attach(shared);
  return (times) => {
    for (let i = 0; i < times; i++) {
      read.lock();
      work(TURNS);
      read.unlock();
    }
  };
}

export function mutexLocked(shared: Shared<Mutex>): Body {
  const mutex = attach(shared);
  return (times) => {
    for (let i = 0; i < times; i++) {
      mutex.lock();
      work(TURNS);
      mutex.unlock();
    }
  };
}

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

/** What a hand-over needs: the time of each set and of each waking in microseconds, and a word to sleep on. */
interface HandOver {
  readonly word: Int32Array;
  readonly times: Float64Array;
  readonly there: Shared<Event>;
}

const HAND_OVERS = 100; // a round
const ASLEEP = 0.4; // ms after which whoever waits is asleep

const now = (): number => Number(process.hrtime.bigint()) / 1e3;

function untilAsleep(): void {
  for (let end = performance.now() + ASLEEP; performance.now() < end; );
}

export function setEvents({ word, times, ...shared }: HandOver): Body {
  const there = attach(shared.there);
  return () => {
    for (let i = 0; i < HAND_OVERS; i++) {
      untilAsleep();
      times[0] = now();
      there.set();
      while (Atomics.load(word, 1) === 0);
      Atomics.store(word, 1, 0);
    }
  };
}

export function waitForEvents({ word, times, ...shared }: HandOver): Body {
  const there = attach(shared.there);
  return () => {
    for (let i = 0; i < HAND_OVERS; i++) {
      there.wait();
      times[i + 1] = now() - (times[0] ?? 0);
      there.clear();
      Atomics.store(word, 1, 1);
    }
  };
}

export function notifyRaw({ word, times }: HandOver): Body {
  return () => {
    for (let i = 0; i < HAND_OVERS; i++) {
      untilAsleep();
      times[0] = now();
      Atomics.store(word, 0, 1);
      Atomics.notify(word, 0);
      while (Atomics.load(word, 1) === 0);
      Atomics.store(word, 1, 0);
    }
  };
}

export function waitRaw({ word, times }: HandOver): Body {
  return () => {
    for (let i = 0; i < HAND_OVERS; i++) {
      Atomics.wait(word, 0, 0);
      times[i + 1] = now() - (times[0] ?? 0);
      Atomics.store(word, 0, 0);
      Atomics.store(word, 1, 1);
    }
  };
}

/** Two threads, of which one sleeps until the other wakes it; the median time from the one to the other. */
function handingOver(name: string, giver: string, taker: string): Rival {
  const times = new Float64Array(new SharedArrayBuffer(8 * (HAND_OVERS + 1)));
  const word = new Int32Array(new SharedArrayBuffer(8));
  const all: number[] = [];
  let crew: Crew | undefined;
  return {
    name,
    async start() {
      const data: HandOver = { word, times, there: share(new Event()) };
      crew = await Crew.start([giver, taker].map((job) => ({ module: here, name: job, data })));
      await crew.round(1);
    },
    async round() {
      await crew?.round(1);
      const round = [...times.subarray(1)];
      all.push(...round);
      return quantile(round, 0.5);
    },
    async stop() {
      await crew?.stop();
    },
    samples: () => all,
  };
}

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
