import { MessageChannel, parentPort, Worker, workerData } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CodecError } from '../lib/memory/errors.ts';
import { codec } from '../lib/queue/codec.ts';
import { carry, difference, numbers, refused, scratch } from './kit/carry.ts';
import { Point, values } from './kit/values.ts';

for (const [name, make] of Object.entries(values)) {
  test(`any carries ${name} as structuredClone does`, () => {
    const value = make();
    assert.is(difference(carry(codec.any, value), structuredClone(value)), '');
  });
  test(`any carries ${name} within an object`, () => {
    const value = { id: 1, value: make(), rest: ['a', { b: null }] };
    assert.is(difference(carry(codec.any, value), structuredClone(value)), '');
  });
}

test('any carries random nested values as structuredClone does', () => {
  const random = numbers(20261123);
  const kinds = Object.values(values);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const made: unknown[] = [];
  const build = (depth: number): unknown => {
    const items = Array.from({ length: Math.floor(random() * 4) }, () =>
      depth > 3 ? pick(kinds)() : build(depth + 1),
    );
    const key = () => pick(['a', 'b', '7', 'name', '', '__proto__', 'я', String(random())]);
    const value = pick([
      () => pick(kinds)(),
      () => items,
      () => Object.fromEntries(items.map((item) => [key(), item])),
      () => new Map(items.map((item) => [random() < 0.5 ? key() : item, item])),
      () => new Set(items),
      () => (made.length > 0 && random() < 0.3 ? pick(made) : items),
    ])();
    made.push(value);
    return value;
  };
  for (let i = 0; i < 1500; i++) {
    made.length = 0;
    const value = build(0);
    assert.is(difference(carry(codec.any, value), structuredClone(value)), '', `value ${i}`);
  }
});

/** The types of this Node do not name it. */
const wasm = Reflect.get(globalThis, 'WebAssembly');

const uncloneable: Record<string, () => unknown> = {
  'a function': () => () => 1,
  'a class': () => Point,
  'a symbol': () => Symbol('s'),
  'a boxed symbol': () => Object(Symbol('s')),
  'a method': () => ({ id: 1, run() {} }),
  'a function in an array in a Map': () => new Map([['a', [1, () => 1]]]),
  'a Proxy': () => new Proxy({ a: 1 }, {}),
  'a Proxy of an array, within': () => ({ a: [new Proxy([], {})] }),
  'an arguments object': () =>
    (function () {
      // biome-ignore lint/complexity/noArguments: it is what is tried
      return arguments;
    })(),
  'a WeakMap': () => new WeakMap(),
  'a WeakRef': () => new WeakRef({}),
  'a Promise': () => Promise.resolve(1),
  'a generator': () => (function* () {})(),
  'an iterator': () => [1][Symbol.iterator](),
  'an Intl object': () => new Intl.Collator(),
  'a MessagePort': () => {
    const { port1 } = new MessageChannel();
    port1.close();
    return port1;
  },
  'a transferred buffer': () => {
    const gone = new Uint8Array(8);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    return { gone };
  },
  'shared memory': () => new SharedArrayBuffer(8),
  'a view of shared memory': () => ({ view: new Uint8Array(new SharedArrayBuffer(8)) }),
  'a Blob': () => new Blob(['x']),
  'a URL': () => new URL('http://localhost/'),
  'a DOMException': () => new DOMException('stop', 'AbortError'),
  'an AbortSignal': () => new AbortController().signal,
  'a module of WebAssembly': () => new wasm.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])),
  'memory of WebAssembly': () => new wasm.Memory({ initial: 1, maximum: 1, shared: true }),
};

for (const [name, make] of Object.entries(uncloneable)) {
  test(`any refuses ${name}`, () => refused(codec.any, make(), /^codec any /));
  test(`any refuses ${name} beside what it could carry`, () =>
    refused(codec.any, [new Map(), { b: make() }], /^codec any /));
}

test('any does with an Error that is its own cause what structuredClone does', () => {
  const error = new Error('round');
  error.cause = error;
  let clone: unknown;
  try {
    clone = structuredClone(error);
  } catch {}
  if (clone === undefined) refused(codec.any, [error], /Unable to deserialize/);
  else assert.is(difference(carry(codec.any, error), clone), '');
});

test('any carries 1000 objects within objects, and refuses more, in the short way and by V8', () => {
  const within = (depth: number, inner: object) => {
    let outer = inner;
    for (let i = 1; i < depth; i++) outer = i % 2 === 0 ? [outer] : { outer };
    return outer;
  };
  for (const inner of [{}, new Map()]) {
    assert.is(difference(carry(codec.any, within(1000, inner)), structuredClone(within(1000, inner))), '');
    refused(codec.any, within(1001, inner), /more than 1000 objects within objects/);
    refused(codec.any, within(100_000, inner), /more than 1000 objects within objects/);
  }
  const chain: { last?: object }[] = [{}];
  for (let i = 1; i < 3000; i++) chain.push({ last: chain[i - 1] as object });
  refused(codec.any, chain.at(-1), /more than 1000 objects within objects/);
  assert.is(
    difference(carry(codec.any, chain), structuredClone(chain)),
    '',
    'met one after the other they are not deep',
  );
});

test('any says why it refuses, and keeps the cause', () => {
  const thrown = new RangeError('not now');
  const value = {
    get a() {
      throw thrown;
    },
  };
  assert.throws(
    () => codec.any.encode(value, scratch, 0, scratch.length),
    (error: Error) => error instanceof CodecError && error.cause === thrown && error.message.includes('not now'),
  );
  refused(codec.any, { run() {} }, /could not be cloned/);
});

/** What a worker decodes of the messages in `memory`, in the order given. */
function decodeThere(memory: SharedArrayBuffer, messages: [number, number][]): Promise<unknown[]> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { memory, messages } });
  return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
}

test('another thread decodes messages in any order, even if it never sees the others', async () => {
  const memory = new SharedArrayBuffer(1 << 20);
  const into = Buffer.from(memory);
  const sent = Object.values(values).map((make) => ({ n: 1, name: 'same keys', value: make() }));
  let at = 0;
  const messages = sent.map((value): [number, number] => {
    const start = at;
    at = codec.any.encode(value, into, start, into.length);
    assert.ok(at > start, 'it fits');
    return [start, at];
  });
  const everyThirdFromTheEnd = [...messages.keys()].reverse().filter((i) => i % 3 === 0);
  const arrived = await decodeThere(
    memory,
    everyThirdFromTheEnd.map((i) => messages[i] as [number, number]),
  );
  assert.is(arrived.length, everyThirdFromTheEnd.length);
  // They came back by a structured clone, so the originals must have gone as far.
  for (const [k, i] of everyThirdFromTheEnd.entries()) assert.is(difference(arrived[k], structuredClone(sent[i])), '');
});

if (workerData?.messages) {
  const { memory, messages } = workerData as { memory: SharedArrayBuffer; messages: [number, number][] };
  parentPort?.postMessage(messages.map(([at, end]) => codec.any.decode(Buffer.from(memory), at, end)));
} else {
  test.run();
}
