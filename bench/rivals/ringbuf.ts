import { RingBuffer } from 'ringbuf.js';
import type { Body } from '../crew.ts';
import { type End, type Jobs, jobs } from '../latency.jobs.ts';
import { type City, checkStamp, city, stamp } from '../queues.jobs.ts';

// ringbuf.js: one producer, one consumer, nobody ever sleeps. Who finds it full or empty tries again at once.

type NumberArray = Int32ArrayConstructor | Float64ArrayConstructor;

/** The memory of a ring of `items` numbers. */
export const numbers = (items: number, Type: NumberArray = Int32Array): SharedArrayBuffer =>
  RingBuffer.getStorageForCapacity(items, Type);

/** The memory of a ring of so many bytes. */
export const bytes = (count: number): SharedArrayBuffer => RingBuffer.getStorageForCapacity(count, Uint8Array);

/** A step may have room for a part only: goes on until all is through. */
function all<T extends Int32Array | Uint8Array>(
  step: (array: T, length: number, offset: number) => number,
  part: T,
  length: number = part.length,
): void {
  for (let done = 0; done < length; ) done += step(part, length - done, done);
}

type Job = (memory: SharedArrayBuffer) => Body;

const pushing =
  (Type: NumberArray): Job =>
  (memory) => {
    const ring = new RingBuffer(memory, Type);
    const one = new Type(1);
    return (n) => {
      for (let i = 0; i < n; i++) {
        one[0] = i;
        while (ring.push(one) === 0);
      }
    };
  };

const popping =
  (Type: NumberArray): Job =>
  (memory) => {
    const ring = new RingBuffer(memory, Type);
    const one = new Type(1);
    return (n) => {
      for (let i = 0; i < n; i++) {
        while (ring.pop(one) === 0);
        if (one[0] !== i) throw new Error(`item ${i} came out as ${one[0]}`);
      }
    };
  };

export const push: Job = pushing(Int32Array);
export const pop: Job = popping(Int32Array);
export const pushFractions: Job = pushing(Float64Array);
export const popFractions: Job = popping(Float64Array);

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

// Bytes, each message as long as the others.

interface Messages {
  readonly memory: SharedArrayBuffer;
  readonly bytes: number;
}

export function pushBytes({ memory, bytes }: Messages): Body {
  const ring = new RingBuffer(memory, Uint8Array);
  const message = new Uint8Array(bytes);
  return (n) => {
    for (let i = 0; i < n; i++) all((array, length, offset) => ring.push(array, length, offset), stamp(message, i));
  };
}

export function popBytes({ memory, bytes }: Messages): Body {
  const ring = new RingBuffer(memory, Uint8Array);
  const message = new Uint8Array(bytes);
  return (n) => {
    for (let i = 0; i < n; i++) {
      all((array, length, offset) => ring.pop(array, length, offset), message);
      checkStamp(message, i, bytes);
    }
  };
}

// Objects, as one who has nothing but this would send them: the length of their JSON, and the JSON.

const HEAD = 4; // bytes
const LONGEST = 512; // bytes of an object with its head

export function pushJson(memory: SharedArrayBuffer): Body {
  const ring = new RingBuffer(memory, Uint8Array);
  const message = new Uint8Array(LONGEST);
  const head = new DataView(message.buffer);
  const encoder = new TextEncoder();
  return (n) => {
    for (let i = 0; i < n; i++) {
      const { written } = encoder.encodeInto(JSON.stringify(city(i)), message.subarray(HEAD));
      head.setUint32(0, written);
      all((array, length, offset) => ring.push(array, length, offset), message, HEAD + written);
    }
  };
}

export function popJson(memory: SharedArrayBuffer): Body {
  const ring = new RingBuffer(memory, Uint8Array);
  const message = new Uint8Array(LONGEST);
  const head = new DataView(message.buffer);
  const decoder = new TextDecoder();
  const take = (bytes: number) => all((array, length, offset) => ring.pop(array, length, offset), message, bytes);
  return (n) => {
    for (let i = 0; i < n; i++) {
      take(HEAD);
      const length = head.getUint32(0);
      take(length);
      const { id }: City = JSON.parse(decoder.decode(message.subarray(0, length)));
      if (id !== i) throw new Error(`object ${i} came out as ${id}`);
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
