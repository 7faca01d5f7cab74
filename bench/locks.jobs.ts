import { attach, type Shared } from '../lib/memory/handles.ts';
import type { Mutex } from '../lib/sync/mutex.ts';
import '../lib/sync/mutex.ts';
import { AtomicsMutex } from './atomics.ts';
import type { Body } from './crew.ts';
import { work } from './work.ts';

// What the threads of `locks.bench.ts` do in one round.

/** What the threads of a counter share: the count is in the first word, a lock's word (if any) 128 bytes further. */
export interface Counter {
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

export interface Section {
  readonly mutex: Shared<Mutex>;
  readonly words: Int32Array;
  readonly turns: number;
}

export function sections({ turns, ...shared }: Section): Body {
  const mutex = attach(shared.mutex);
  return (n) => {
    for (let i = 0; i < n; i++) {
      mutex.lock();
      work(turns);
      mutex.unlock();
    }
  };
}

export function sectionsOnAtomics({ words, turns }: Section): Body {
  const mutex = new AtomicsMutex(words, LOCK);
  return (n) => {
    for (let i = 0; i < n; i++) {
      mutex.lock();
      work(turns);
      mutex.unlock();
    }
  };
}
