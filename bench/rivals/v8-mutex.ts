import { type Body, onCrew } from '../crew.ts';
import { inThread, type Rival, Unavailable } from '../scenario.ts';

// `Atomics.Mutex` of V8, which is there with the flag --harmony-struct.

type V8Mutex = object;

interface MutexClass {
  new (): V8Mutex;
  lock<R>(mutex: V8Mutex, section: () => R): R;
}

/** Throws {@link Unavailable} where V8 has none, or one of another form. */
function mutexClass(): MutexClass {
  const { Mutex } = Atomics as { Mutex?: MutexClass };
  if (!Mutex) throw new Unavailable(`V8 ${process.versions.v8} has no Atomics.Mutex with --harmony-struct`);
  const probe: unknown = Mutex.lock(new Mutex(), () => 1);
  if (probe !== 1) throw new Unavailable(`Atomics.Mutex of V8 ${process.versions.v8} runs no function under its lock`);
  return Mutex;
}

export const alone = (): Rival =>
  inThread('alone', () => {
    const Mutex = mutexClass();
    const mutex = new Mutex();
    const section = () => {};
    return (pairs) => {
      for (let i = 0; i < pairs; i++) Mutex.lock(mutex, section);
    };
  });

interface Counter {
  readonly words: Int32Array;
  readonly mutex: V8Mutex;
}

export function add({ words, mutex }: Counter): Body {
  const Mutex = mutexClass();
  const section = () => {
    words[0]!++; // one of the words
  };
  return (n) => {
    for (let i = 0; i < n; i++) Mutex.lock(mutex, section);
  };
}

const counter = (threads: number): Rival =>
  onCrew('counter', {
    jobs: () => {
      const data: Counter = { words: new Int32Array(new SharedArrayBuffer(256)), mutex: new (mutexClass())() };
      return Array.from({ length: threads }, () => ({ module: import.meta.url, name: 'add', data }));
    },
    factor: threads,
  });

export const counter1 = (): Rival => counter(1);
export const counter2 = (): Rival => counter(2);
export const counter4 = (): Rival => counter(4);
