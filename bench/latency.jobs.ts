import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { attach, type Shared } from '../lib/memory/handles.ts';
import type { Queue } from '../lib/queue/queue.ts';
import '../lib/queue/queue.ts';
import { AtomicsRing } from './atomics.ts';
import type { Body } from './crew.ts';

// The two threads of each rival of `latency.bench.ts`: one that asks and takes the time, one that answers.

/** Where the threads of a round note what they measured, and how long they rest before each trip. */
export interface Watch {
  /** Microseconds: when the last message was sent, and behind that how long each one took. */
  readonly times: Float64Array;
  /** Whether the message of a one-way trip has arrived. */
  readonly word: Int32Array;
  /** Milliseconds. */
  readonly pause: number;
}

export interface Trip<T> extends Watch {
  readonly there: T;
  readonly back: T;
}

/** One end of a channel of numbers that blocks its thread. */
export interface End {
  send(item: number): void;
  receive(): number;
}

/** Microseconds on the clock that all threads share. */
export function now(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e6 + nanoseconds / 1e3;
}

/** Keeps the core busy for so many milliseconds: who waits for this thread falls asleep, but this one does not. */
export function rest(ms: number): void {
  for (let end = performance.now() + ms; performance.now() < end; );
}

function check(item: number, expected: number): void {
  if (item !== expected) throw new Error(`message ${expected} came out as ${item}`);
}

/** Round trips: each is timed by the thread that asks. */
function asking(there: End, back: End, { times, pause }: Watch): Body {
  return (n) => {
    for (let i = 0; i < n; i++) {
      rest(pause);
      const start = now();
      there.send(i);
      check(back.receive(), i);
      times[i + 1] = now() - start;
    }
  };
}

function answering(there: End, back: End): Body {
  return (n) => {
    for (let i = 0; i < n; i++) back.send(there.receive());
  };
}

/** One way: the thread that sends notes when, the one that receives notes how long ago that was, and says so by a word. */
function sending(there: End, { times, word, pause }: Watch): Body {
  return (n) => {
    for (let i = 0; i < n; i++) {
      rest(pause);
      times[0] = now();
      there.send(i);
      arrived(word);
    }
  };
}

function arrived(word: Int32Array): void {
  while (Atomics.load(word, 0) === 0);
  Atomics.store(word, 0, 0);
}

function note({ times, word }: Watch, i: number): void {
  times[i + 1] = now() - (times[0] ?? 0);
  Atomics.store(word, 0, 1);
}

function receiving(there: End, watch: Watch): Body {
  return (n) => {
    for (let i = 0; i < n; i++) {
      check(there.receive(), i);
      note(watch, i);
    }
  };
}

type Q = Shared<Queue<number>>;

const queueEnd = (shared: Q): End => {
  const queue = attach(shared);
  return { send: (item) => queue.put(item), receive: () => queue.get() };
};

const atomicsEnd = (words: Int32Array): End => {
  const ring = new AtomicsRing(words);
  return { send: (item) => ring.put(item), receive: () => ring.get() };
};

const loopingEnd = (port: MessagePort): End => ({
  send: (item) => port.postMessage(item),
  receive() {
    for (;;) {
      const received = receiveMessageOnPort(port);
      if (received) return received.message;
    }
  },
});

/** The four jobs of a kind of ends. */
export interface Jobs<T> {
  readonly ask: (trip: Trip<T>) => Body;
  readonly answer: (trip: Trip<T>) => Body;
  readonly send: (trip: Trip<T>) => Body;
  readonly receive: (trip: Trip<T>) => Body;
}

export const jobs = <T>(end: (of: T) => End): Jobs<T> => ({
  ask: (trip) => asking(end(trip.there), end(trip.back), trip),
  answer: (trip) => answering(end(trip.there), end(trip.back)),
  send: (trip) => sending(end(trip.there), trip),
  receive: (trip) => receiving(end(trip.there), trip),
});

const ofQueues: Jobs<Q> = jobs(queueEnd);
export const askQueue: Jobs<Q>['ask'] = ofQueues.ask;
export const answerQueue: Jobs<Q>['answer'] = ofQueues.answer;
export const sendQueue: Jobs<Q>['send'] = ofQueues.send;
export const receiveQueue: Jobs<Q>['receive'] = ofQueues.receive;

const onAtomics: Jobs<Int32Array> = jobs(atomicsEnd);
export const askAtomics: Jobs<Int32Array>['ask'] = onAtomics.ask;
export const answerAtomics: Jobs<Int32Array>['answer'] = onAtomics.answer;
export const sendAtomics: Jobs<Int32Array>['send'] = onAtomics.send;
export const receiveAtomics: Jobs<Int32Array>['receive'] = onAtomics.receive;

const looping: Jobs<MessagePort> = jobs(loopingEnd);
export const askLoop: Jobs<MessagePort>['ask'] = looping.ask;
export const answerLoop: Jobs<MessagePort>['answer'] = looping.answer;
export const sendLoop: Jobs<MessagePort>['send'] = looping.send;
export const receiveLoop: Jobs<MessagePort>['receive'] = looping.receive;

// Events: the receiving side is an event loop, which sleeps while nothing comes.

type Ported = Trip<MessagePort>;

/** The next messages of `port`, one by one. */
function nextOf(port: MessagePort): () => Promise<number> {
  let taken = (_: number): void => {};
  port.on('message', (item: number) => taken(item));
  return () =>
    new Promise((resolve) => {
      taken = resolve;
    });
}

export function askPort({ there, times, pause }: Ported): Body {
  const next = nextOf(there);
  return async (n) => {
    for (let i = 0; i < n; i++) {
      rest(pause);
      const start = now();
      there.postMessage(i);
      check(await next(), i);
      times[i + 1] = now() - start;
    }
  };
}

/** Resolves after `n` messages, each of which is given to `take`. */
function messages(port: MessagePort, n: number, take: (item: number) => void): Promise<void> {
  return new Promise((resolve) => {
    let count = 0;
    const onMessage = (item: number) => {
      take(item);
      if (++count < n) return;
      port.off('message', onMessage);
      resolve();
    };
    port.on('message', onMessage);
  });
}

export function answerPort({ there }: Ported): Body {
  return (n) => messages(there, n, (item) => there.postMessage(item));
}

export function sendPort(trip: Ported): Body {
  return sending(loopingEnd(trip.there), trip);
}

export function receivePort(trip: Ported): Body {
  return (n) => {
    let expected = 0;
    return messages(trip.there, n, (item) => {
      check(item, expected);
      note(trip, expected++);
    });
  };
}
