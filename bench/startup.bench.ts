import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { inFresh } from './fresh.ts';
import { type Opened, pools } from './rivals/pools.ts';
import { type Rival, reference, type Scenario } from './scenario.ts';
import { PACKAGES } from './startup.jobs.ts';

const jobs = new URL('./startup.jobs.js', import.meta.url).href;
const common = { unit: 'ms', better: 'less', compare: true } as const;

const inChild = (name: string, subject = name): Rival => inFresh(name, jobs, subject);

/** A rival whose every round opens what it then closes; the figure is milliseconds until `open` has resolved. */
function opening<T>(name: string, open: () => Promise<T>, close: (opened: T) => unknown): Rival {
  return {
    name,
    costly: true,
    async start() {
      await close(await open()); // what the main thread imports for it is there
    },
    async round() {
      const start = performance.now();
      const opened = await open();
      const ms = performance.now() - start;
      await close(opened);
      return ms;
    },
    stop() {},
  };
}

const pool = (name: string): Rival =>
  opening(
    name,
    async (): Promise<Opened | undefined> => {
      const opened = await pools[name]?.('trivial');
      await Promise.all([1, 2].map((x) => opened?.run(x)));
      return opened;
    },
    (opened) => opened?.close(),
  );

/** Two threads that import `modules` and say so. */
function bare(name: string, ...modules: readonly string[]): Rival {
  const imports = ['node:worker_threads', ...modules].map((module) => `import(${JSON.stringify(module)})`);
  const source = `Promise.all([${imports}]).then(([{ parentPort }]) => parentPort.postMessage(0))`;
  const entry = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  return opening(
    name,
    async () => {
      const workers = [1, 2].map(() => new Worker(entry));
      await Promise.all(workers.map((worker) => once(worker, 'message')));
      return workers;
    },
    (workers) => Promise.all(workers.map((worker) => worker.terminate())),
  );
}

const LIBRARY = new URL('../lib/index.js', import.meta.url).href;

/** The scenarios of starting. */
export const startups: readonly Scenario[] = [
  {
    ...common,
    name: 'start of a pool: two threads, each with the library in it',
    how: 'from making a pool of two threads until two trivial tasks have been answered',
    threads: 2,
    rounds: 7,
    slow: true,
    rivals: [
      ...Object.keys(pools)
        .filter((name) => !/64 tasks|fastq/.test(name))
        .map(pool),
      reference(bare('two bare Workers')),
      reference(bare('two Workers that import the library', LIBRARY)),
    ],
  },
  {
    ...common,
    name: 'start of the library: to import it takes as long as others take',
    how: 'import() in a fresh process',
    threads: 1,
    rounds: 7,
    slow: true,
    rivals: [inChild('ringfence'), ...PACKAGES.map((name) => inChild(name))],
  },
  {
    ...common,
    name: 'start of a region: the kernel is compiled once a process',
    how: 'the first time that a fresh process makes it, the library imported already',
    threads: 1,
    rounds: 7,
    compare: false,
    slow: true,
    rivals: [
      inChild('the first region, which compiles the kernel', 'region'),
      inChild('another region', 'another region'),
      inChild('a queue of 1,024 slots', 'queue'),
      inChild('a mutex', 'mutex'),
      inChild('a MessageChannel', 'channel'),
    ],
  },
];
