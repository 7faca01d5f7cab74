import { attach, Mutex, type Shared, share } from '../lib/index.ts';
import { AtomicsMutex } from './atomics.ts';
import { type Body, onCrew } from './crew.ts';
import { native } from './native.ts';
import { inThread, type Rival, type Scenario } from './scenario.ts';

const here = import.meta.url;

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
  ],
};

/** What the threads of a counter share: the count is in the first word, a lock's word (if any) 128 bytes further. */
interface Counter {
  readonly words: Int32Array;
  readonly mutex: Shared<Mutex>;
}

const LOCK = 32;

export function unlocked({ words }: Counter): Body {
  return (n) => {
    for (let i = 0; i < n; i++) words[0]!++; // one of the words
  };
}

export function atomicAdd({ words }: Counter): Body {
  return (n) => {
    for (let i = 0; i < n; i++) Atomics.add(words, 0, 1);
  };
}

export function locked({ words, ...shared }: Counter): Body {
  const mutex = attach(shared.mutex);
  return (n) => {
    for (let i = 0; i < n; i++) {
      mutex.lock();
      words[0]!++; // one of the words
      mutex.unlock();
    }
  };
}

export function lockedOnAtomics({ words }: Counter): Body {
  const mutex = new AtomicsMutex(words, LOCK);
  return (n) => {
    for (let i = 0; i < n; i++) {
      mutex.lock();
      words[0]!++; // one of the words
      mutex.unlock();
    }
  };
}

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
  rivals: [
    counting('locked, ringfence Mutex', 'locked', threads),
    counting('locked, mutex on JS Atomics', 'lockedOnAtomics', threads),
    counting('Atomics.add', 'atomicAdd', threads),
    counting('unlocked', 'unlocked', threads),
  ],
});

/** The scenarios of locks. */
export const locks: readonly Scenario[] = [alone, counter(1), counter(2)];
