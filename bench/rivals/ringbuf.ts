import { RingBuffer } from 'ringbuf.js';
import type { Body } from '../crew.ts';
import { type End, type Jobs, jobs } from '../latency.jobs.ts';

// ringbuf.js: one producer, one consumer, nobody ever sleeps. Who finds it full or empty tries again at once.

/** The memory of a ring of `items` numbers. */
export const numbers = (items: number): SharedArrayBuffer => RingBuffer.getStorageForCapacity(items, Int32Array);

function all(step: (array: Int32Array, length: number, offset: number) => number, part: Int32Array): void {
  for (let done = 0; done < part.length; ) done += step(part, part.length - done, done);
}

export function push(memory: SharedArrayBuffer): Body {
  const ring = new RingBuffer(memory, Int32Array);
  const one = new Int32Array(1);
  return (n) => {
    for (let i = 0; i < n; i++) {
      one[0] = i;
      while (ring.push(one) === 0);
    }
  };
}

export function pop(memory: SharedArrayBuffer): Body {
  const ring = new RingBuffer(memory, Int32Array);
  const one = new Int32Array(1);
  return (n) => {
    for (let i = 0; i < n; i++) {
      while (ring.pop(one) === 0);
      if (one[0] !== i) throw new Error(`item ${i} came out as ${one[0]}`);
    }
  };
}

interface Batches {
  readonly memory: SharedArrayBuffer;
  readonly many: number;
}

export function pushMany({ memory, many }: Batches): Body {
  const ring = new RingBuffer(memory, Int32Array);
  const batch = new Int32Array(many);
  return (n) => {
    for (let i = 0; i < n; i += many) {
      for (let j = 0; j < many; j++) batch[j] = i + j;
      all((array, length, offset) => ring.push(array, length, offset), batch);
    }
  };
}

export function popMany({ memory, many }: Batches): Body {
  const ring = new RingBuffer(memory, Int32Array);
  const batch = new Int32Array(many);
  return (n) => {
    for (let i = 0; i < n; i += many) {
      all((array, length, offset) => ring.pop(array, length, offset), batch);
      for (let j = 0; j < many; j++) if (batch[j] !== i + j) throw new Error(`item ${i + j} came out as ${batch[j]}`);
    }
  };
}

// Single messages, one after another.

function end(memory: SharedArrayBuffer): End {
  const ring = new RingBuffer(memory, Int32Array);
  const one = new Int32Array(1);
  return {
    send(item) {
      one[0] = item;
      while (ring.push(one) === 0);
    },
    receive() {
      while (ring.pop(one) === 0);
      return one[0] ?? Number.NaN;
    },
  };
}

const single: Jobs<SharedArrayBuffer> = jobs(end);
export const askRingbuf: Jobs<SharedArrayBuffer>['ask'] = single.ask;
export const answerRingbuf: Jobs<SharedArrayBuffer>['answer'] = single.answer;
export const sendRingbuf: Jobs<SharedArrayBuffer>['send'] = single.send;
export const receiveRingbuf: Jobs<SharedArrayBuffer>['receive'] = single.receive;
