/**
 * Programs: tiny ones, of two to four threads that each do a step or two, and every outcome that they may have, with the reason.
 * As herd and litmus7 have them for processors, and jcstress for the JVM. What is forbidden is what is not listed.
 *
 * `x` and `y` are plain words, each on a cache line of its own and all 0 at first; everything else is of this library.
 */
import type { Region } from '../../../lib/memory/region.ts';
import { Broadcast } from '../../../lib/queue/broadcast.ts';
import { codec } from '../../../lib/queue/codec.ts';
import { Queue } from '../../../lib/queue/queue.ts';
import type { Subscription } from '../../../lib/queue/subscription.ts';
import { Barrier } from '../../../lib/sync/barrier.ts';
import { Condition } from '../../../lib/sync/condition.ts';
import { Event } from '../../../lib/sync/event.ts';
import { Latch } from '../../../lib/sync/latch.ts';
import { Mutex } from '../../../lib/sync/mutex.ts';
import { RLock } from '../../../lib/sync/rlock.ts';
import { RwLock } from '../../../lib/sync/rwlock.ts';
import { Semaphore } from '../../../lib/sync/semaphore.ts';
import { Value } from '../../../lib/sync/value.ts';

/** What the threads share: `size` instances of the program, which they go through one after another. */
export interface Shared {
  readonly x: Int32Array;
  readonly y: Int32Array;
  /** What the program made. */
  readonly made: unknown;
}

/** What a thread does in instance `i`, and what it saw, if it looked. */
type Actor<M> = (shared: Shared & { readonly made: M }, i: number) => number | undefined;

export interface Program {
  readonly name: string;
  readonly actors: readonly Actor<never>[];
  make(region: Region, size: number): unknown;
  /** Between two rounds, beside the plain words. */
  reset?(made: never): void;
  /** What those saw who looked, in the order of the actors, and why that is allowed. */
  readonly outcomes: Readonly<Record<string, string>>;
  /** How several that mean the same are told; as they are, with commas, if it is missing. */
  view?(seen: readonly number[]): string;
  /** Instances that are made at once, if they can be used once only. */
  readonly once?: number;
}

/** Keeps the types of what is made. */
function program<M>(
  name: string,
  make: (region: Region, size: number) => M,
  actors: readonly Actor<M>[],
  outcomes: Readonly<Record<string, string>>,
  rest: { reset?(made: M): void; view?(seen: readonly number[]): string; once?: number } = {},
): Program {
  return { name, make, actors, outcomes, ...rest };
}

const LINE = 16; // words
export const at = (i: number): number => i * LINE;

function list<T>(size: number, make: (i: number) => T): T[] {
  return Array.from({ length: size }, (_, i) => make(i));
}

/** Two threads that do the same. */
function both<M>(actor: Actor<M>): Actor<M>[] {
  return [actor, actor];
}

// Plain words alone: what goes without any order, so that the others mean something

const nothing = (): undefined => undefined;

function store(words: 'x' | 'y'): Actor<undefined> {
  return (shared, i) => {
    shared[words][at(i)] = 1;
    return undefined;
  };
}

const plain: readonly Program[] = [
  program(
    'store buffering, plain',
    nothing,
    [
      ({ x, y }, i) => {
        x[at(i)] = 1;
        return y[at(i)];
      },
      ({ x, y }, i) => {
        y[at(i)] = 1;
        return x[at(i)];
      },
    ],
    {
      '0,0': 'both stores were still in their buffers: x86 shows that',
      '0,1': 'the first thread came first',
      '1,0': 'the second thread came first',
      '1,1': 'both stores came before both loads',
    },
  ),
  program(
    'load buffering, plain',
    nothing,
    [
      ({ x, y }, i) => {
        const seen = x[at(i)];
        y[at(i)] = 1;
        return seen;
      },
      ({ x, y }, i) => {
        const seen = y[at(i)];
        x[at(i)] = 1;
        return seen;
      },
    ],
    {
      '0,0': 'both loads came first',
      '0,1': 'the first thread came first',
      '1,0': 'the second thread came first',
      '1,1': 'each load came after the store behind the other one: the models allow it, x86 does not do it, ARM may',
    },
  ),
  program(
    'message passing, plain',
    nothing,
    [
      (shared, i) => {
        store('x')(shared, i);
        return store('y')(shared, i);
      },
      ({ x, y }, i) => (y[at(i)] ?? 0) * 2 + (x[at(i)] ?? 0),
    ],
    {
      '0': 'the reader came first',
      '1': 'the reader came in between',
      '3': 'the writer came first',
      '2': 'flag without data: the models allow it, x86 does not do it, ARM may',
    },
  ),
];

// Value: all loads and stores in one order

interface Pair {
  readonly a: readonly Value<'i32'>[];
  readonly b: readonly Value<'i32'>[];
}

function pair(region: Region, size: number): Pair {
  const values = () => list(size, () => new Value({ region, type: 'i32' }));
  return { a: values(), b: values() };
}

function clear({ a, b }: Pair): void {
  for (const value of [...a, ...b]) value.value = 0;
}

function set(values: readonly Value<'i32'>[], i: number): undefined {
  (values[i] as Value<'i32'>).value = 1;
}

function get(values: readonly Value<'i32'>[], i: number): number {
  return (values[i] as Value<'i32'>).value;
}

const values: readonly Program[] = [
  program(
    'store buffering by Value',
    pair,
    [
      ({ made: { a, b } }, i) => {
        set(a, i);
        return get(b, i);
      },
      ({ made: { a, b } }, i) => {
        set(b, i);
        return get(a, i);
      },
    ],
    {
      '0,1': 'the first thread came first',
      '1,0': 'the second thread came first',
      '1,1': 'both stores came before both loads',
    },
    { reset: clear },
  ),
  program(
    'load buffering by Value',
    pair,
    [
      ({ made: { a, b } }, i) => {
        const seen = get(a, i);
        set(b, i);
        return seen;
      },
      ({ made: { a, b } }, i) => {
        const seen = get(b, i);
        set(a, i);
        return seen;
      },
    ],
    {
      '0,0': 'both loads came first',
      '0,1': 'the first thread came first',
      '1,0': 'the second thread came first',
    },
    { reset: clear },
  ),
  program(
    'message passing by Value, of plain data',
    pair,
    [
      (shared, i) => {
        store('x')(shared as never, i);
        return set(shared.made.a, i);
      },
      ({ x, made: { a } }, i) => get(a, i) * 2 + (x[at(i)] ?? 0),
    ],
    {
      '0': 'the reader came first',
      '1': 'the reader looked at the flag before it was set, and at the data after',
      '3': 'the writer came first: flag and data',
    },
    { reset: clear },
  ),
  program(
    'one word is never seen older than before, by Value',
    pair,
    [({ made: { a } }, i) => set(a, i), ({ made: { a } }, i) => get(a, i) * 2 + get(a, i)],
    { '0': 'the reader came first', '1': 'the store came between the loads', '3': 'the store came first' },
    { reset: clear },
  ),
  program(
    'independent readers of independent writes (IRIW) by Value',
    pair,
    [
      ({ made: { a } }, i) => set(a, i),
      ({ made: { b } }, i) => set(b, i),
      ({ made: { a, b } }, i) => get(a, i) * 2 + get(b, i),
      ({ made: { a, b } }, i) => get(b, i) * 2 + get(a, i),
    ],
    {
      '0,0': 'no store yet, for both',
      '0,1': 'the second reader saw the one, after its look at the other',
      '0,2': 'the second reader saw the second store only',
      '0,3': 'the second reader saw both',
      '1,0': 'the first reader saw the second store, after its look at the first',
      '1,1': 'each saw the store that it looked at last',
      '1,2': 'the second store came first, for both',
      '1,3': 'the first reader saw the second store only, the other both',
      '2,0': 'the first reader saw the first store only',
      '2,1': 'the first store came first, for both',
      '2,3': 'the first reader saw the first store only, the other both',
      '3,0': 'the first reader saw both',
      '3,1': 'the first reader saw both, the other the first store last',
      '3,2': 'the first reader saw both, the other the second store only',
      '3,3': 'both stores came first',
    },
    { reset: clear },
  ),
];

// Locks: what the last owner wrote plainly is seen by the next one

interface Section {
  with<R>(fn: () => R): R;
}

function handOver(name: string, make: (region: Region) => Section, threads: number): Program {
  const raise: Actor<Section> = ({ x, made }, i) =>
    made.with(() => {
      const seen = x[at(i)] ?? 0;
      x[at(i)] = seen + 1;
      return seen;
    });
  const orders = threads === 2 ? ['0,1', '1,0'] : ['0,1,2', '0,2,1', '1,0,2', '1,2,0', '2,0,1', '2,1,0'];
  const outcomes = Object.fromEntries(orders.map((order) => [order, 'one of the orders in which they can enter']));
  return program(
    `a plain count in ${name}`,
    make,
    list(threads, () => raise),
    outcomes,
  );
}

const locks: readonly Program[] = [
  handOver('a Mutex', (region) => new Mutex({ region }), 2),
  handOver('a Mutex, of three', (region) => new Mutex({ region }), 3),
  handOver('an RLock', (region) => new RLock({ region }), 2),
  handOver('a Semaphore of one', (region) => new Semaphore({ region, permits: 1 }), 2),
  program(
    'a plain count in an RwLock',
    (region) => new RwLock({ region }),
    both<RwLock>(({ x, made }, i) =>
      made.write.with(() => {
        const seen = x[at(i)] ?? 0;
        x[at(i)] = seen + 1;
        return seen;
      }),
    ),
    { '0,1': 'the first thread came first', '1,0': 'the second thread came first' },
  ),
  program(
    'two readers of an RwLock while one writes both words',
    (region) => new RwLock({ region }),
    [
      ({ x, y, made }, i) =>
        made.write.with(() => {
          x[at(i)] = 1;
          y[at(i)] = 1;
          return undefined;
        }),
      ...list(
        2,
        (): Actor<RwLock> =>
          ({ x, y, made }, i) =>
            made.read.with(() => (x[at(i)] ?? 0) * 2 + (y[at(i)] ?? 0)),
      ),
    ],
    {
      '0,0': 'both readers came first',
      '0,3': 'one reader came before the writer, one after it',
      '3,0': 'the same, the other way round',
      '3,3': 'the writer came first',
    },
  ),
  program(
    'two try to get the only permit of a Semaphore',
    (region, size) => list(size, () => new Semaphore({ region, permits: 1 })),
    both<Semaphore[]>(({ made }, i) => Number(made[i]?.tryAcquire())),
    { '0,1': 'the second thread had it', '1,0': 'the first thread had it' },
    {
      reset: (made) => {
        for (const semaphore of made) semaphore.release();
      },
    },
  ),
];

// Publication: whoever was let go sees what was written plainly before

const publications: readonly Program[] = [
  program(
    'publication by an Event',
    (region, size) => list(size, () => new Event({ region })),
    [
      (shared, i) => {
        store('x')(shared as never, i);
        shared.made[i]?.set();
        return undefined;
      },
      ...list(
        2,
        (): Actor<Event[]> =>
          ({ x, made }, i) => {
            made[i]?.wait();
            return x[at(i)];
          },
      ),
    ],
    { '1,1': 'who has waited sees it' },
    {
      reset: (made) => {
        for (const event of made) event.clear();
      },
    },
  ),
  program(
    'publication by two counts of a Latch',
    (region, size) => list(size, () => new Latch({ region, count: 2 })),
    [
      ...(['x', 'y'] as const).map(
        (words): Actor<Latch[]> =>
          (shared, i) => {
            store(words)(shared as never, i);
            shared.made[i]?.countDown();
            return undefined;
          },
      ),
      ({ x, y, made }, i) => {
        made[i]?.wait();
        return (x[at(i)] ?? 0) * 2 + (y[at(i)] ?? 0);
      },
    ],
    { '3': 'who has waited sees what was written before each count' },
    { once: 3000 },
  ),
  program(
    'publication by a Barrier',
    (region) => new Barrier({ region, parties: 2 }),
    [
      (shared, i) => {
        store('x')(shared as never, i);
        shared.made.wait();
        return shared.y[at(i)];
      },
      (shared, i) => {
        store('y')(shared as never, i);
        shared.made.wait();
        return shared.x[at(i)];
      },
    ],
    { '1,1': 'each sees what the other wrote before it came' },
  ),
  program(
    'publication by a Condition',
    (region) => new Condition({ mutex: new Mutex({ region }), region }),
    [
      (shared, i) =>
        shared.made.mutex.with(() => {
          store('x')(shared as never, i);
          store('y')(shared as never, i);
          shared.made.notifyAll();
          return undefined;
        }),
      ({ x, y, made }, i) => made.mutex.with(() => made.waitFor(() => x[at(i)]) && y[at(i)]),
    ],
    { '1': 'who was notified sees all that was written under the lock' },
  ),
];

// Queues

/** Data, then a message; on the other side the message, then the data. */
function message<T>(name: string, make: (region: Region) => Queue<T>, item: (i: number) => T): readonly Program[] {
  return [
    program(
      `message passing by a Queue of ${name}`,
      make,
      [
        (shared, i) => {
          store('x')(shared as never, i);
          shared.made.put(item(i));
          return undefined;
        },
        ({ x, made }, i) => Number(made.get() === item(i)) * 2 + (x[at(i)] ?? 0),
      ],
      { '3': 'who has the item sees what was written before it was put' },
    ),
    program(
      `the same, by a try at a Queue of ${name}`,
      (region, size) => list(size, () => make(region)),
      [
        (shared, i) => {
          store('x')(shared as never, i);
          shared.made[i]?.put(item(i));
          return undefined;
        },
        ({ x, made }, i) => Number(made[i]?.tryGet() !== undefined) * 2 + (x[at(i)] ?? 0),
      ],
      {
        '0': 'the consumer came first',
        '1': 'it looked into the queue before the item was there, and at the data after',
        '3': 'the producer came first: item and data',
      },
      {
        reset: (made) => {
          for (const queue of made) queue.tryGet();
        },
      },
    ),
  ];
}

const queues: readonly Program[] = [
  ...message(
    'i32',
    (region) => new Queue<number>({ region, capacity: 2, codec: codec.i32 }),
    (i) => i,
  ),
  ...message(
    'f64',
    (region) => new Queue<number>({ region, capacity: 2, codec: codec.f64 }),
    (i) => i + 0.1,
  ),
  ...message(
    'text',
    (region) => new Queue<string>({ region, capacity: 2, codec: codec.string }),
    (i) => `item ${i}`,
  ),
  program(
    'two items of one producer',
    (region) => new Queue<number>({ region, capacity: 2, codec: codec.i32 }),
    [
      ({ made }, i) => {
        made.put(2 * i);
        made.put(2 * i + 1);
        return undefined;
      },
      ({ made }, i) => Number(made.get() === 2 * i) * 2 + Number(made.get() === 2 * i + 1),
    ],
    { '3': 'they come in their order' },
  ),
  program(
    'two consumers try to get one item',
    (region, size) => {
      const made = list(size, () => new Queue<number>({ region, capacity: 1, codec: codec.i32 }));
      for (const queue of made) queue.put(1);
      return made;
    },
    both<Queue<number>[]>(({ made }, i) => made[i]?.tryGet() ?? 0),
    { '0,1': 'the second thread had it', '1,0': 'the first thread had it' },
    {
      reset: (made) => {
        for (const queue of made) queue.put(1);
      },
    },
  ),
  program(
    'two subscribers of a Broadcast with two publishers',
    (region) => {
      const broadcast = new Broadcast<number>({ region, capacity: 2, codec: codec.i32 });
      return { broadcast, subscriptions: [broadcast.subscribe(), broadcast.subscribe()] };
    },
    [
      ...[0, 1].map(
        (mine): Actor<Announced> =>
          (shared, i) => {
            if (i % 2 !== mine) return undefined;
            store('x')(shared as never, i);
            shared.made.broadcast.publish(i);
            return undefined;
          },
      ),
      ...[0, 1].map(
        (mine): Actor<Announced> =>
          ({ x, made }) => {
            const item = made.subscriptions[mine]?.get() ?? 0;
            return item * 2 + (x[at(item)] ?? 0);
          },
      ),
    ],
    { 'the same': 'all items come to both in one order, and what was written before them is seen' },
    { view: ([a = 0, b = 0]) => (a !== b ? 'not the same' : a % 2 === 1 ? 'the same' : 'without the data') },
  ),
];

interface Announced {
  readonly broadcast: Broadcast<number>;
  readonly subscriptions: readonly Subscription<number>[];
}

export const PROGRAMS: readonly Program[] = [...plain, ...values, ...locks, ...publications, ...queues];
