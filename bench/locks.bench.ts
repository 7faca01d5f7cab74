import { Mutex, share } from '../lib/index.ts';
import { AtomicsMutex } from './atomics.ts';
import { inProcess } from './child.ts';
import { onCrew } from './crew.ts';
import type { Counter, Section } from './locks.jobs.ts';
import { native, python } from './native.ts';
import { mutexAlone } from './rivals/multithreading.ts';
import { webLocks } from './rivals/web-locks.ts';
import { inThread, type Rival, reference, type Scenario } from './scenario.ts';

const here = new URL('./locks.jobs.js', import.meta.url).href;
const v8 = { module: new URL('./rivals/v8-mutex.js', import.meta.url).href, flags: ['--harmony-struct'] };

const alone: Scenario = {
  name: 'mutex alone: lock and unlock cost less in the kernel than on JS Atomics',
  how: 'lock() and unlock() in one thread, nobody else wanting it; the median of batches of 10,000 pairs',
  unit: 'ns a pair',
  better: 'less',
  threads: 1,
  rounds: 15,
  compare: true,
  rivals: [
    inThread('ringfence Mutex', () => {
      const mutex = new Mutex();
      return (pairs) => {
        for (let i = 0; i < pairs; i++) {
          mutex.lock();
          mutex.unlock();
        }
      };
    }),
    inThread('mutex on JS Atomics', () => {
      const mutex = new AtomicsMutex(new Int32Array(new SharedArrayBuffer(64)));
      return (pairs) => {
        for (let i = 0; i < pairs; i++) {
          mutex.lock();
          mutex.unlock();
        }
      };
    }),
    native('pthread_mutex, C++', ['mutex', '10000', '200']),
    inProcess("V8's Atomics.Mutex", { ...v8, make: 'alone' }),
    mutexAlone('multithreading Mutex'),
    webLocks(),
    python('multiprocessing.Lock, Python', ['lock', '10000', '20']),
  ],
};

/** `threads` threads that add 1 to one word, by the job `job`; the remark says how many of the additions were lost. */
function counting(name: string, job: string, threads: number): Rival {
  const words = new Int32Array(new SharedArrayBuffer(256));
  let lost = 0;
  let all = 0;
  return onCrew(name, {
    jobs: () => {
      const data: Counter = { words, mutex: share(new Mutex()) };
      return Array.from({ length: threads }, () => ({ module: here, name: job, data }));
    },
    factor: threads,
    before: () => {
      words[0] = 0;
    },
    after: (n) => {
      all += n * threads;
      lost += n * threads - (words[0] ?? 0);
    },
    remark: () => `${lost.toLocaleString('en-US')} of ${all.toLocaleString('en-US')} lost`,
  });
}

const counter = (threads: number): Scenario => ({
  name: `counter, ${threads} thread${threads > 1 ? 's' : ''}: ${threads > 1 ? 'only the unlocked one loses updates' : 'nobody loses an update'}`,
  how: `${threads} thread${threads > 1 ? 's' : ''} adding 1 to the same word of shared memory, as fast as it goes`,
  unit: 'M additions/s',
  better: 'more',
  threads,
  rounds: 9,
  compare: true,
  slow: true,
  scaling: { curve: 'counter under a lock', axis: 'threads', x: threads },
  rivals: [
    counting('locked, ringfence Mutex', 'locked', threads),
    counting('locked, mutex on JS Atomics', 'lockedOnAtomics', threads),
    reference(counting('Atomics.add', 'atomicAdd', threads)),
    reference(counting('unlocked', 'unlocked', threads)),
    inProcess("locked, V8's Atomics.Mutex", { ...v8, make: `counter${threads}` }),
    native('locked, pthread_mutex, C++', ({ roundMs }) => ['counter', `${threads}`, `${roundMs}`]),
    python('locked, multiprocessing.Lock, Python', ({ roundMs }) => ['counter', `${threads}`, `${roundMs}`]),
  ],
});

// Turns of `work` that take about so long.
const EMPTY = 0;
const SHORT = 32;
const LONG = 160;

/** Two threads that want the same lock again and again, each time for so many turns. */
function section(length: string, turns: number): Scenario {
  const rival = (name: string, job: string) =>
    onCrew(name, {
      jobs: () => {
        const words = new Int32Array(new SharedArrayBuffer(256));
        const data: Section = { words, mutex: share(new Mutex()), turns };
        return [1, 2].map(() => ({ module: here, name: job, data }));
      },
      factor: 2,
    });
  return {
    name: `sections of ${length}: a lock in the kernel loses no throughput to waiting`,
    how: `two threads, each with the lock for ${turns === 0 ? 'nothing' : `a loop of ${turns} turns (about ${length})`}, again and again`,
    unit: 'M sections/s',
    better: 'more',
    threads: 2,
    rounds: 9,
    compare: true,
    slow: turns !== SHORT,
    rivals: [
      rival('ringfence Mutex', 'sections'),
      rival('mutex on JS Atomics', 'sectionsOnAtomics'),
      reference(native('pthread_mutex, C++', ({ roundMs }) => ['section', '2', `${turns}`, `${roundMs}`])),
    ],
  };
}

/** The scenarios of locks. */
export const locks: readonly Scenario[] = [
  alone,
  ...[1, 2, 4].map(counter),
  section('nothing', EMPTY),
  section('0.2 us', SHORT),
  section('1 us', LONG),
];
