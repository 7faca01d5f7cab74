import { inThread, quantile, type Rival, Unavailable } from '../scenario.ts';

// The package `multithreading`, which is imported where it can be: on Node 20 its first line already fails.

type Library = typeof import('multithreading');

async function library(): Promise<Library> {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 22) throw new Unavailable('multithreading needs Node 22 or later: npm run bench -- --node 24');
  return import('multithreading');
}

/** Its mutex, blocking, and the guard given back. */
export function mutexAlone(name: string): Rival {
  let rival: Rival | undefined;
  return {
    name,
    async start(effort) {
      const { Mutex } = await library();
      rival = inThread(name, () => {
        const mutex = new Mutex();
        return (pairs) => {
          for (let i = 0; i < pairs; i++) mutex.blockingLock().dispose();
        };
      });
      await rival.start(effort);
    },
    round: () => rival?.round() ?? Number.NaN,
    stop: () => rival?.stop(),
  };
}

const ITEMS = 4000; // about 30 ms

/**
 * Its channel, from one of its threads to another, of numbers, or of objects like `sample`; the figure is millions of items a
 * second, starting the tasks included.
 */
export function channel(name: string, capacity: number, sample?: object): Rival {
  let loaded: Library | undefined;
  const round = async () => {
    if (!loaded) throw new Error(`${name} has not been started`);
    const { channel, move, spawn } = loaded;
    const [sender, receiver] = channel<unknown>(capacity, { size: 2 ** 20 });
    const start = performance.now();
    const producer = spawn(move(sender, ITEMS, sample), (to, n, one) => {
      for (let i = 1; i <= n; i++) to.blockingSend(one ? { ...one, id: i } : i);
    });
    const consumer = spawn(move(receiver, ITEMS, sample), (from, n, one) => {
      for (let i = 1; i <= n; i++) {
        const got = from.blockingRecv();
        const id = got.ok && (one ? (got.value as { id: number }).id : got.value);
        if (id !== i) throw new Error(`item ${i} came out as ${JSON.stringify(got)}`);
      }
    });
    for (const result of await Promise.all([producer.join(), consumer.join()])) if (!result.ok) throw result.error;
    return ITEMS / (performance.now() - start) / 1e3;
  };
  return {
    name,
    async start() {
      loaded = await library();
      loaded.initRuntime({ maxWorkers: 2 });
      await round();
    },
    round,
    stop: () => loaded?.shutdown(),
  };
}

/** Round trips of a number through two of its channels, `n` in a round, each `pause` milliseconds after the last one. */
export function roundTrips(name: string, n: number, pause: number): Rival {
  let loaded: Library | undefined;
  let all: number[] = [];
  const round = async (): Promise<number> => {
    if (!loaded) throw new Error(`${name} has not been started`);
    const { channel, move, spawn } = loaded;
    const [there, asked] = channel<number>(16, { size: 2 ** 16 });
    const [back, answered] = channel<number>(16, { size: 2 ** 16 });
    const asking = spawn(move(there, answered, n, pause), (to, from, count, ms) => {
      const times: number[] = [];
      for (let i = 0; i < count; i++) {
        for (let end = performance.now() + ms; performance.now() < end; );
        const start = performance.now();
        to.blockingSend(i + 1);
        const got = from.blockingRecv();
        if (!got.ok || got.value !== i + 1) throw new Error(`message ${i + 1} came out as ${JSON.stringify(got)}`);
        times.push((performance.now() - start) * 1e3);
      }
      return times;
    });
    const answering = spawn(move(asked, back, n), (from, to, count) => {
      for (let i = 0; i < count; i++) {
        const got = from.blockingRecv();
        if (got.ok) to.blockingSend(got.value);
      }
    });
    const [asks, answers] = await Promise.all([asking.join(), answering.join()]);
    if (!asks.ok) throw asks.error;
    if (!answers.ok) throw answers.error;
    all.push(...asks.value);
    return quantile(asks.value, 0.5);
  };
  return {
    name,
    async start() {
      loaded = await library();
      loaded.initRuntime({ maxWorkers: 2 });
      await round();
      all = [];
    },
    round,
    stop: () => loaded?.shutdown(),
    samples: () => all,
  };
}
