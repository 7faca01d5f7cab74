import { attach, type Shared } from '../lib/memory/handles.ts';
import type { Event } from '../lib/sync/event.ts';
import type { Mutex } from '../lib/sync/mutex.ts';
import type { RwLock } from '../lib/sync/rwlock.ts';
import '../lib/sync/event.ts';
import '../lib/sync/mutex.ts';
import '../lib/sync/rwlock.ts';
import type { Body } from './crew.ts';
import { now, rest } from './latency.jobs.ts';
import { work } from './work.ts';

// What the threads of `primitives.bench.ts` do in one round.

/** About a microsecond of {@link work}. */
export const TURNS = 160;

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

/** What a hand-over needs: the time of each set and of each waking in microseconds, and a word to sleep on. */
export interface HandOver {
  readonly word: Int32Array;
  readonly times: Float64Array;
  readonly there: Shared<Event>;
}

/** Of a round. */
export const HAND_OVERS = 100;
const ASLEEP = 0.4; // ms after which whoever waits is asleep

export function setEvents({ word, times, ...shared }: HandOver): Body {
  const there = attach(shared.there);
  return (n) => {
    for (let i = 0; i < n; i++) {
      rest(ASLEEP);
      times[0] = now();
      there.set();
      while (Atomics.load(word, 1) === 0);
      Atomics.store(word, 1, 0);
    }
  };
}

export function waitForEvents({ word, times, ...shared }: HandOver): Body {
  const there = attach(shared.there);
  return (n) => {
    for (let i = 0; i < n; i++) {
      there.wait();
      times[i + 1] = now() - (times[0] ?? 0);
      there.clear();
      Atomics.store(word, 1, 1);
    }
  };
}

export function notifyRaw({ word, times }: HandOver): Body {
  return (n) => {
    for (let i = 0; i < n; i++) {
      rest(ASLEEP);
      times[0] = now();
      Atomics.store(word, 0, 1);
      Atomics.notify(word, 0);
      while (Atomics.load(word, 1) === 0);
      Atomics.store(word, 1, 0);
    }
  };
}

export function waitRaw({ word, times }: HandOver): Body {
  return (n) => {
    for (let i = 0; i < n; i++) {
      Atomics.wait(word, 0, 0);
      times[i + 1] = now() - (times[0] ?? 0);
      Atomics.store(word, 0, 0);
      Atomics.store(word, 1, 1);
    }
  };
}
