import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CodecError } from '../lib/memory/errors.ts';
import { Broadcast } from '../lib/queue/broadcast.ts';
import { type Codec, codec, refuse } from '../lib/queue/codec.ts';
import { Queue } from '../lib/queue/queue.ts';
import { carry, difference, numbers, refused, scratch } from './kit/carry.ts';
import { values } from './kit/values.ts';

const sized: [string, Codec<unknown>, unknown][] = [
  ...Object.entries(values).map(([name, make]): [string, Codec<unknown>, unknown] => [
    `any with ${name}`,
    codec.any,
    make(),
  ]),
  ['i32', codec.i32 as Codec<unknown>, 5],
  ['u32', codec.u32 as Codec<unknown>, 5],
  ['f64', codec.f64 as Codec<unknown>, 5],
  ['i64', codec.i64 as Codec<unknown>, 5n],
  ['bytes', codec.bytes as Codec<unknown>, new Uint8Array(90).fill(1)],
  ['string', codec.string as Codec<unknown>, 'текст и text'.repeat(8)],
  ['json', codec.json, { a: [1, 'two', { three: null }] }],
];

test('a codec says -1 when there is not enough room, and never writes behind the end', () => {
  for (const [name, through, value] of sized) {
    const needed = through.encode(value, scratch, 0, scratch.length);
    const enough = needed + 16;
    const step = Math.ceil(enough / 200);
    for (let room = enough; room >= 0; room -= step) {
      scratch.fill(0xee, 0, needed + 64);
      const position = through.encode(value, scratch, 5, 5 + room);
      const outside = [scratch.subarray(0, 5), scratch.subarray(5 + room, needed + 64)];
      assert.ok(
        Buffer.concat(outside).every((byte) => byte === 0xee),
        `${name} in ${room}, of ${needed}`,
      );
      if (room === enough) assert.is(position, 5 + needed, `${name} in ${room}`);
      else if (room < needed) assert.is(position, -1, `${name} in ${room}, of ${needed}`);
      else assert.ok(position === -1 || position === 5 + needed, `${name} in ${room}, of ${needed}`);
    }
  }
});

test('string carries any string, and nothing else', () => {
  const random = numbers(3);
  const texts = Object.values(values)
    .flatMap((make) => make())
    .filter((value) => typeof value === 'string');
  for (let i = 0; i < 3000; i++) {
    const top = [0x7f, 0xff, 0xffff][i % 3] as number;
    const units = Array.from({ length: Math.floor(random() * 60) }, () => Math.floor(random() * (top + 1)));
    texts.push(String.fromCharCode(...units));
  }
  for (const text of texts) assert.is(carry(codec.string, text), text);
  for (const value of [1, null, undefined, ['a'], Object('a')])
    refused(codec.string as Codec<unknown>, value, /carries strings, not/);
});

test('bytes carries a Uint8Array and gives a plain copy', () => {
  const samples = [
    new Uint8Array(0),
    new Uint8Array([1, 2, 255]),
    Buffer.from('abc'),
    new Uint8Array(new SharedArrayBuffer(32), 8, 9),
  ];
  for (const sample of [...samples, new (class Own extends Uint8Array {})(3), new Uint8Array(100_000).fill(9)]) {
    const arrived = carry(codec.bytes, sample);
    assert.is(Object.getPrototypeOf(arrived), Uint8Array.prototype);
    assert.is(arrived.buffer.byteLength, sample.length);
    assert.ok(Buffer.compare(arrived, sample) === 0);
  }
  const gone = new Uint8Array(8);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  const others = [
    gone,
    new Uint8ClampedArray(1),
    new DataView(new ArrayBuffer(1)),
    new ArrayBuffer(1),
    [1],
    'abc',
    null,
  ];
  for (const other of others) refused(codec.bytes as Codec<unknown>, other, /carries Uint8Arrays/);
});

test('json carries what JSON makes of a value, and refuses where JSON has no text', () => {
  for (const make of Object.values(values)) {
    let text: string | undefined;
    try {
      text = JSON.stringify(make());
    } catch {}
    if (text === undefined) refused(codec.json, make(), /^codec json /);
    else assert.is(difference(carry(codec.json, make()), JSON.parse(text)), '');
  }
  assert.equal(carry(codec.json, { toJSON: () => ({ in: 'stead' }) }), { in: 'stead' });
  for (const none of [undefined, () => 1, Symbol('s'), { toJSON() {} }])
    refused(codec.json, none, /turns into text, not/);
});

const inline: [Codec<number> | Codec<bigint>, unknown[], unknown[]][] = [
  [
    codec.i32,
    [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)],
    [-0, 0.5, 2 ** 31, -(2 ** 31) - 1, NaN, Infinity, '1', 1n, null, undefined, true, Symbol('s'), {}],
  ],
  [codec.u32, [0, 1, 2 ** 31, 2 ** 32 - 1], [-0, 0.5, -1, 2 ** 32, NaN, '1', 1n, null, undefined, [1]]],
  [codec.f64, [0, -0, 0.1, NaN, Infinity, -Infinity, 5e-324, Number.MAX_VALUE], ['1', 1n, null, undefined, Object(1)]],
  [codec.i64, [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n)], [2n ** 63n, -(2n ** 63n) - 1n, 1, '1', null, undefined]],
];

for (const [numeric, carried, others] of inline) {
  test(`${numeric.name} carries its range exactly and refuses everything else`, () => {
    const through = numeric as Codec<unknown>;
    assert.is(through.inline, through.name);
    for (const value of carried) {
      assert.is(through.accepts?.(value), true, String(value));
      assert.ok(Object.is(carry(through, value), value), String(value));
    }
    for (const value of others) {
      assert.is(through.accepts?.(value), false, String(value));
      refused(through, value, new RegExp(`^codec ${through.name} carries .+, not `));
      assert.throws(
        () => refuse(through, value),
        (error: unknown) => error instanceof CodecError,
      );
    }
  });
}

const point = codec.define<[number, number]>({
  name: 'a point',
  size: () => 8,
  encode: ([x, y], target) => target.writeInt32LE(y, target.writeInt32LE(x, 0)),
  decode: (source) => [source.readInt32LE(0), source.readInt32LE(4)],
});

test('a codec of a program carries its values, alone, beyond a block and in a broadcast', () => {
  assert.equal(carry(point, [1, -2]), [1, -2]);
  const queue = new Queue({ capacity: 2, codec: point });
  queue.put([3, 4]);
  assert.equal(queue.get(), [3, 4]);
  const many = codec.define<number>({
    name: 'many bytes',
    size: (n) => n + 10,
    encode: (n, target) => target.fill(7, 0, n).subarray(0, n).length,
    decode: (source) => (source.every((byte) => byte === 7) ? source.length : -1),
  });
  const long = new Queue({ capacity: 2, codec: many, blockBytes: 16 });
  for (const n of [0, 5, 16, 17, 5000]) {
    long.put(n);
    assert.is(long.get(), n);
  }
  const news = new Broadcast({ capacity: 2, codec: point });
  const mine = news.subscribe();
  news.publish([5, 6]);
  assert.equal(mine.get(), [5, 6]);
});

test('a codec of a program writes nothing outside of its bytes', () => {
  const greedy = codec.define<number>({
    name: 'greedy',
    size: () => 4,
    encode: (_, target) => target.fill(1).length,
    decode: (source) => source.length,
  });
  scratch.fill(9, 0, 32);
  assert.is(greedy.encode(0, scratch, 8, 32), 12);
  assert.equal([...scratch.subarray(6, 14)], [9, 9, 1, 1, 1, 1, 9, 9]);
  assert.is(greedy.encode(0, scratch, 8, 11), -1);
  for (const size of [-1, 0.5, Number.NaN, '4']) {
    const wrong = codec.define<number>({
      name: `size ${size}`,
      size: () => size as number,
      encode: () => 0,
      decode: () => 0,
    });
    refused(wrong as Codec<unknown>, 0, /must give a size of 0 or more whole bytes: got/);
  }
});

test('what no library codec, struct or definition is, is no codec of a queue', () => {
  const strangers = [{}, 5, 'i32', { ...codec.string }, { ...point }, () => 1];
  for (const stranger of strangers) {
    const make = (): unknown => new Queue({ capacity: 1, codec: stranger as never });
    assert.throws(make, /^codec must be one of codec\.\*: got /);
  }
});

test('an item that cannot be read is gone, its get says so, and what is before and behind it is taken as always', () => {
  const odd = codec.define<number>({
    name: 'odd',
    size: () => 4,
    encode: (value, target) => target.writeInt32LE(value),
    decode(source) {
      const value = source.readInt32LE(0);
      if (value % 2 === 0) throw new RangeError(`${value} is even`);
      return value;
    },
  });
  for (const redeliver of [false, true]) {
    const queue = new Queue({ capacity: 4, codec: odd, redeliver });
    queue.putMany([2, 1, 4, 3]);
    assert.throws(() => queue.get(), /codec odd cannot decode the value: 2 is even/);
    try {
      queue.getMany(3);
      assert.unreachable();
    } catch (error) {
      assert.instance(error, CodecError);
      assert.equal((error as { items?: unknown }).items, [1]);
    }
    assert.is(queue.get(), 3);
    queue.free();
  }
});

test.run();
