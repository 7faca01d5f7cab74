import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { codec } from '../lib/queue/codec.ts';
import type { Struct, View } from '../lib/queue/struct.ts';
import { carry, refused, scratch } from './kit/carry.ts';

const NUMBERS = { i8: 8, i16: 16, i32: 32, u8: 8, u16: 16, u32: 32 } as const;

type Loose = { x: unknown };

/** A struct of one field, as a codec of anything. */
function one(field: unknown): Struct<Loose> {
  return codec.struct({ x: field } as never) as never;
}

const all = codec.struct({
  a: 'i8',
  b: 'u8',
  c: 'i16',
  d: 'u16',
  e: 'i32',
  f: 'u32',
  g: 'f32',
  h: 'f64',
  i: 'i64',
  j: 'u64',
  k: 'bool',
  text: codec.string(20),
  bytes: codec.bytes(5),
  list: ['f64', 3],
  bigs: ['u64', 2],
  inner: codec.struct({ n: 'i16', deeper: codec.struct({ on: 'bool' }) }),
});

function sample(): object {
  return {
    ...{ a: -128, b: 255, c: -32768, d: 65535, e: -(2 ** 31), f: 2 ** 32 - 1, g: 0.5, h: -0, i: -(2n ** 63n) },
    ...{ j: 2n ** 64n - 1n, k: true, text: 'Zürich 🚲', bytes: new Uint8Array([1, 2, 3, 4, 255]) },
    ...{ list: new Float64Array([1.5, -0, Infinity]), bigs: new BigUint64Array([1n, 2n]) },
    inner: { n: -5, deeper: { on: true } },
  };
}

test('a struct carries each type of field exactly, structs and lists within it too', () => {
  assert.equal(carry(all as never, sample()), sample());
  const { h } = carry(all as never, sample()) as { h: number };
  assert.ok(Object.is(h, -0));
});

test('fields lie in their order, little-endian, each at a multiple of its size', () => {
  const mixed = codec.struct({
    a: 'u8',
    b: 'u32',
    c: 'u16',
    d: 'f64',
    e: codec.string(3),
    f: codec.bytes(2),
    g: 'u16',
  });
  assert.is(mixed.bytes, 40);
  scratch.fill(0, 0, 40);
  const end = mixed.encode(
    { a: 1, b: 0x04030201, c: 0x0605, d: 1, e: 'xyz', f: new Uint8Array([8, 9]), g: 0x0b0a },
    ...([scratch, 0, 40] as const),
  );
  assert.is(end, 40);
  assert.equal(
    [...scratch.subarray(0, 34)],
    [
      1,
      0,
      0,
      0,
      1,
      2,
      3,
      4,
      5,
      6,
      0,
      0,
      0,
      0,
      0,
      0,
      ...[0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
      3,
      0,
      120,
      121,
      122,
      8,
      9,
      0,
      10,
      11,
    ],
  );
});

for (const [type, bits] of Object.entries(NUMBERS)) {
  test(`${type} takes exactly its range`, () => {
    const signed = type.startsWith('i');
    const [least, most] = signed ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
    for (const x of [least, most, 0, 1]) assert.equal(carry(one(type), { x }), { x });
    for (const x of [least - 1, most + 1, 0.5, -0, NaN, Infinity, '1', 1n, null, undefined, true, {}]) {
      refused(one(type) as never, { x }, new RegExp(`whole numbers from ${least} to ${most} .+ in field x, not `));
    }
  });
}

test('i64 and u64 are bigints of exactly their range', () => {
  for (const [type, least, most] of [
    ['i64', -(2n ** 63n), 2n ** 63n - 1n],
    ['u64', 0n, 2n ** 64n - 1n],
  ] as const) {
    for (const x of [least, most, 0n]) assert.equal(carry(one(type), { x }), { x });
    for (const x of [least - 1n, most + 1n, 1, '1', undefined])
      refused(one(type) as never, { x }, /bigints from .+ in field x/);
  }
});

test('f64 and f32 take numbers, f32 the nearest one, and bool takes true and false', () => {
  for (const x of [0, -0, 0.1, NaN, -Infinity]) assert.ok(Object.is(carry(one('f64'), { x }).x, x));
  assert.equal(carry(one('f32'), { x: 0.1 }), { x: Math.fround(0.1) });
  for (const type of ['f32', 'f64', 'bool'])
    for (const x of ['1', null, undefined, 1n]) refused(one(type) as never, { x }, /in field x, not/);
  for (const x of [0, 1]) refused(one('bool') as never, { x }, /true and false in field x, not/);
});

test('a string fits by its bytes in UTF-8', () => {
  for (const x of ['', 'abc', 'é', '🚲', 'x'.repeat(4)]) assert.equal(carry(one(codec.string(4)), { x }), { x });
  const long = one(codec.string(300));
  for (const x of ['a'.repeat(300), 'ü'.repeat(150), `${'a'.repeat(24)}é`, '\0'])
    assert.equal(carry(long, { x }), { x });
  for (const x of ['abcde', 'éé!', '🚲!'])
    refused(one(codec.string(4)) as never, { x }, /at most 4 bytes in UTF-8 in field x, not ".+" of 5$/);
  refused(one(codec.string(4)) as never, { x: '\ud800' }, /lone surrogates in field x/);
  for (const x of [5, null, undefined, ['a']]) refused(one(codec.string(4)) as never, { x }, /strings in field x/);
});

test('bytes and lists have exactly their length', () => {
  for (const x of [new Uint8Array(3), [1, 2], 'ab', null, undefined])
    refused(one(codec.bytes(2)) as never, { x }, /exactly 2 bytes in field x/);
  for (const x of [[1], [1, 2, 3], null, undefined, 5])
    refused(one(['i16', 2]) as never, { x }, /lists of 2 items, each i16.+ in field x/);
  refused(one(['i16', 2]) as never, { x: [1, 40_000] }, /from -32768 to 32767 .+ in field x\[1\], not 40000$/);
  assert.equal(carry(one(['i16', 2]), { x: [1, -2] }), { x: new Int16Array([1, -2]) });
});

test('what is no object of exactly these fields is refused by name', () => {
  const point = codec.struct({ x: 'i32', y: 'i32' }) as never;
  refused(point, { x: 1 }, /in field y, not undefined$/);
  refused(point, { x: 1, z: 1 }, /carries whole numbers .+ in field y|has no field z$/);
  refused(point, { x: 1, y: 2, z: 3 }, /^codec struct carries objects with the fields x, y, and has no field z$/);
  for (const value of [5, null, undefined, 'xy']) refused(point, value, /objects with the fields x, y, not /);
  refused(
    codec.struct({ leg: codec.struct({ price: 'u8' }) }) as never,
    { leg: { price: 300 } },
    /in field leg\.price, not 300$/,
  );
  class Getters {
    get x(): number {
      return 1;
    }
    get y(): number {
      return 2;
    }
  }
  assert.equal(carry(point, new Getters() as never), { x: 1, y: 2 });
});

test('a getter that encodes the same struct changes nothing', () => {
  const pair = codec.struct({ x: 'i32', y: 'i32' });
  const value = {
    x: 1,
    get y() {
      pair.encode({ x: 8, y: 9 }, scratch, 500, 600);
      return 2;
    },
  };
  pair.encode(value, scratch, 0, 8);
  assert.equal(pair.decode(scratch, 0), { x: 1, y: 2 });
});

test('fields that cannot be meant are refused when the struct is made', () => {
  const wrong = (fields: unknown): unknown => codec.struct(fields as never);
  for (const field of ['f65', 5, null, undefined, [], ['bool', 2], ['f64', 2, 3]]) {
    assert.throws(() => wrong({ price: field }), /^fields\.price must be one of i8, /);
  }
  for (const length of [0, -1, 1.5, 3000])
    assert.throws(() => wrong({ a: codec.string(length) }), /the length of fields\.a must be/);
  assert.throws(() => wrong({ a: ['f64'] }), /the length of fields\.a must be a number: got undefined$/);
  assert.throws(() => wrong({ a: ['u8', '4'] }), /the length of fields\.a must be a number: got "4"$/);
  assert.throws(() => wrong({}), /at least one field/);
  assert.throws(() => wrong(5), /^fields must be an object: got 5$/);
  assert.throws(() => wrong({ a: codec.bytes(2040), b: 'u8' }), /at most 2040 bytes: got 2048$/);
  assert.is(codec.struct({ a: codec.bytes(2040) }).bytes, 2040);
});

test('names that JavaScript uses itself are fields as any other', () => {
  const odd = codec.struct({ ['__proto__']: 'u8', constructor: 'u8', toString: 'u8', '1': 'u8' });
  const value = Object.fromEntries(
    [...['1', '__proto__', 'constructor', 'toString'].entries()].map(([i, name]) => [name, i]),
  );
  const arrived = carry(odd as never, value) as object;
  assert.equal(Object.entries(arrived).sort(), Object.entries(value).sort());
});

test('the same fields are the same struct, and its text makes it again', () => {
  assert.is(codec.struct({ a: 'u8', b: codec.string(4) }), codec.struct({ a: 'u8', b: ['string', 4] }));
  assert.is.not(codec.struct({ a: 'u8' }), codec.struct({ a: 'i8' }));
});

test('a view shows its fields when it is printed', () => {
  const point = codec.struct({ x: 'i32', y: ['u8', 2] });
  const view = point.view(new ArrayBuffer(8), 0) as unknown as View<{ x: number; y: Uint8Array }>;
  view.x = 7;
  view.y.set([1, 2]);
  assert.is(inspect(view, { breakLength: 200 }), '{ x: 7, y: Uint8Array(2) [ 1, 2 ] }');
  assert.equal(point.toObject(view), { x: 7, y: new Uint8Array([1, 2]) });
});

test('structs work where code may not be made from strings', () => {
  const url = new URL('../lib/index.js', import.meta.url);
  const program = `import { codec, Queue } from ${JSON.stringify(url)};
    const queue = new Queue({ capacity: 2, codec: codec.struct({ id: 'u32', name: codec.string(8) }) });
    queue.put({ id: 5, name: 'tea' });
    queue.consume((view) => console.log(view.id, view.name));`;
  const args = ['--disallow-code-generation-from-strings', '--input-type=module', '-e', program];
  assert.is(
    execFileSync(process.execPath, args, { cwd: fileURLToPath(new URL('.', import.meta.url)), encoding: 'utf8' }),
    '5 tea\n',
  );
});

test('the compiler knows the fields of a struct', () => {
  const trade = codec.struct({
    id: 'u32',
    size: 'i64',
    symbol: codec.string(8),
    on: 'bool',
    xs: ['f32', 2],
    leg: codec.struct({ n: 'u8' }),
  });
  type Trade = ReturnType<typeof trade.decode>;
  const right: Trade = { id: 1, size: 2n, symbol: 'TEA', on: true, xs: new Float32Array(2), leg: { n: 1 } };
  assert.equal(carry(trade, right), right);
  // @ts-expect-error a number is no bigint
  const size: Trade['size'] = 1;
  // @ts-expect-error there is no such field
  const none: Trade['nothing'] = 1;
  // @ts-expect-error a field is missing
  const short: Trade = { id: 1, size: 2n, symbol: 'TEA', on: true, xs: new Float32Array(2) };
  // @ts-expect-error a list of f32 is a Float32Array
  const list: Trade['xs'] = new Float64Array(2);
  // @ts-expect-error no such type
  const wrong = (): unknown => codec.struct({ id: 'u33' });
  assert.ok([size, none, short, list].length === 4 && wrong.length === 0);
});

test.run();
