import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InvalidHandleError } from '../lib/memory/errors.ts';
import { attach, share } from '../lib/memory/handles.ts';
import { type Scalar, Value, type ValueType } from '../lib/sync/value.ts';
import { crew } from './kit/crew.ts';
import { refuses } from './kit/refuses.ts';
import { newRegion } from './kit/regions.ts';

const signals = new URL('./kit/signals.js', import.meta.url);
const region = newRegion();
const [LOW, HIGH] = [-(2 ** 31), 2 ** 31 - 1];
const [LOW64, HIGH64] = [-(2n ** 63n), 2n ** 63n - 1n];

function newValue<T extends ValueType>(type: T, initial?: Scalar<T>): Value<T> {
  return new Value({ region, type, initial, name: 'hits' });
}

/** `undefined`, 0 or 0n, and the ends of each type. */
const ends: [ValueType, (number | bigint)[]][] = [
  ['i32', [0, -1, LOW, HIGH]],
  ['u32', [0, 1, 2 ** 31, 2 ** 32 - 1]],
  ['i64', [0n, -1n, LOW64, HIGH64]],
  ['f64', [0, -0, 0.1, -Number.MAX_VALUE, Number.MIN_VALUE, Number.POSITIVE_INFINITY, Number.NaN, 2 ** 53]],
];

test('each type holds its numbers exactly, at first, when set, and when exchanged', () => {
  for (const [type, numbers] of ends) {
    const value = newValue(type);
    assert.ok(Object.is(value.value, type === 'i64' ? 0n : 0), `${type} is 0 at first`);
    for (const n of numbers) {
      assert.ok(Object.is(newValue(type, n as never).value, n), `${type} ${n} at first`);
      const before = value.value;
      assert.ok(Object.is(value.compareExchange(before, n), before));
      assert.ok(Object.is(value.value, n), `${type} ${n} exchanged`);
      value.value = before;
      assert.ok(Object.is(value.value, before));
      value.value = n;
      assert.ok(Object.is(value.value, n), `${type} ${n} set`);
    }
  }
});

test('add returns the number before, and whole numbers go round at the ends of their range', () => {
  const cases: [ValueType, from: number | bigint, n: number | bigint, to: number | bigint][] = [
    ['i32', HIGH, 1, LOW],
    ['i32', LOW, -1, HIGH],
    ['i32', 5, LOW, LOW + 5],
    ['u32', 2 ** 32 - 1, 2, 1],
    ['u32', 0, -1, 2 ** 32 - 1],
    ['u32', 2 ** 32 - 1, 1 - 2 ** 32, 0],
    ['u32', 2 ** 31 - 1, 1, 2 ** 31],
    ['i64', HIGH64, 1n, LOW64],
    ['i64', 5n, -7n, -2n],
    ['f64', 0.1, 0.2, 0.1 + 0.2],
    ['f64', Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN],
    ['f64', -0, -0, -0],
  ];
  for (const [type, from, n, to] of cases) {
    const value = newValue(type, from as never);
    assert.ok(Object.is(value.add(n as never), from), `${type} ${from} before`);
    assert.ok(Object.is(value.value, to), `${type} ${from} + ${n} is ${value.value}`);
  }
});

test('compareExchange stores only over what was expected, and returns what was there', () => {
  const value = newValue('i32', 5);
  assert.is(value.compareExchange(4, 9), 5);
  assert.is(value.value, 5);
  assert.is(value.compareExchange(5, 9), 5);
  assert.is(value.value, 9);
});

test('floating-point numbers are compared by their bits: NaN is NaN, and 0 is not -0', () => {
  const value = newValue('f64', Number.NaN);
  const bits = new DataView(new ArrayBuffer(8));
  for (const other of [0xfff8000000000000n, 0x7ff8000000000001n, 0xffffffffffffffffn]) {
    bits.setBigUint64(0, other);
    assert.ok(Number.isNaN(value.compareExchange(bits.getFloat64(0), bits.getFloat64(0))), 'any NaN');
    assert.is(value.compareExchange(Number.NaN, 1) === 1, false);
    assert.is(value.value, 1);
    value.value = bits.getFloat64(0);
  }
  value.value = 0;
  assert.is(value.compareExchange(-0, 1), 0);
  assert.is(value.value, 0);
  assert.is(value.compareExchange(0, -0), 0);
  assert.ok(Object.is(value.compareExchange(0, 1), -0));
  assert.is(
    value.update((n) => n + 2),
    2,
  );
  value.value = Number.NaN;
  assert.is(
    value.update(() => 3),
    3,
    'NaN does not keep it going',
  );
});

test('threads that add at once lose nothing, in any type', async () => {
  for (const [type, n, sum] of [
    ['i32', -1, -30_000],
    ['u32', 300_000, (300_000 * 30_000) % 2 ** 32],
    ['i64', 2n ** 50n, BigInt.asIntN(64, 2n ** 50n * 30_000n)],
    ['f64', 0.5, 15_000],
  ] as const) {
    const value = newValue(type);
    await crew(3, signals, 'addTo', { value, n, times: 10_000 });
    assert.is(value.value, sum, type);
  }
});

test('update stores what its function makes of the number, calls it again when another thread was faster', async () => {
  const value = newValue('u32', 2 ** 32 - 10);
  const calls = await crew<number>(3, signals, 'updateMany', { value, times: 10_000 });
  assert.is(value.value, 30_000 - 10);
  assert.ok(calls.every((count) => count >= 10_000));
});

test('update begins anew when the number changes under its function', () => {
  const value = newValue('i64', 1n);
  const seen: bigint[] = [];
  const result = value.update((n) => {
    if (seen.push(n) < 3) value.add(10n);
    return n * 2n;
  });
  assert.equal(seen, [1n, 11n, 21n]);
  assert.is(result, 42n);
  assert.is(value.value, 42n);
});

test('a lock that is made of compareExchange excludes', async () => {
  const value = newValue('i32');
  const counter = region.array(Int32Array, 1);
  await crew(2, signals, 'lockByExchange', { value, counter, times: 5000 });
  assert.is(counter[0], 10_000);
});

test('what a type cannot hold is refused with argument and value, and nothing changes', () => {
  const bad: [ValueType, unknown, new () => Error, RegExp][] = [
    ['i32', HIGH + 1, RangeError, /must be an integer from -2147483648 to 2147483647: got 2147483648$/],
    ['i32', 0.5, RangeError, /got 0.5$/],
    ['i32', Number.NaN, RangeError, /got NaN$/],
    ['i32', '1', TypeError, /must be a number: got "1"$/],
    ['i32', Symbol('s'), TypeError, /must be a number: got Symbol\(s\)$/],
    ['u32', -1, RangeError, /must be an integer from 0 to 4294967295: got -1$/],
    ['u32', 2 ** 32, RangeError, /got 4294967296$/],
    ['u32', 1n, TypeError, /must be a number: got 1n$/],
    ['i64', 1, TypeError, /must be a bigint: got 1$/],
    ['i64', HIGH64 + 1n, RangeError, /must be a bigint from -9223372036854775808 to 9223372036854775807: got 92233/],
    ['f64', 1n, TypeError, /must be a number: got 1n$/],
    ['f64', undefined, TypeError, /must be a number: got undefined$/],
  ];
  for (const [type, given, error, message] of bad) {
    const n = given as never;
    const good = (type === 'i64' ? 7n : 7) as never;
    const value = newValue(type, good);
    const uses: [string, () => unknown][] = [
      ['value', () => Object.assign(value, { value: n })],
      ['expected', () => value.compareExchange(n, good)],
      ['next', () => value.compareExchange(good, n)],
      ['the result of fn', () => value.update(() => n)],
    ];
    if (given !== undefined) uses.push(['initial', () => newValue(type, n)]);
    if (given !== -1) uses.push(['n', () => value.add(n)]);
    for (const [argument, use] of uses)
      assert.match(refuses(use, error, message).message, new RegExp(`^${argument} must`));
    assert.is(value.value, good);
  }
  refuses(() => newValue('u32').add(-(2 ** 32)), RangeError, 'n must be an integer from -4294967295 to 4294967295');
});

test('what is thrown in update is thrown, and nothing changes; a function must be given', () => {
  const value = newValue('i32', 7);
  const throwing = () => {
    throw new Error('inside');
  };
  refuses(() => value.update(throwing), Error, 'inside');
  refuses(() => value.update(5 as never), TypeError, 'fn must be a function: got 5');
  assert.is(value.value, 7);
});

test('a type that is none is refused', () => {
  const message = (got: string) => `type must be one of i32, u32, i64, f64: got ${got}`;
  refuses(() => newValue('i16' as never), TypeError, message('"i16"'));
  refuses(() => new Value({} as never), TypeError, message('undefined'));
  refuses(() => new Value(undefined as never), TypeError);
});

test('a handle brings the type with it', () => {
  for (const [type, numbers] of ends) {
    const value = newValue(type, numbers[1] as never);
    const other = attach(share({ value })).value;
    assert.is(other.type, type);
    assert.ok(Object.is(other.value, numbers[1]));
    assert.is(other.name, 'hits');
  }
});

test('a value that was freed throws InvalidHandleError whatever is called', () => {
  const value = newValue('i32');
  value.free();
  const uses = [
    () => value.value,
    () => Object.assign(value, { value: 1 }),
    () => value.add(1),
    () => value.compareExchange(0, 1),
    () => value.update((n) => n),
    () => value.type,
    () => value.free(),
  ];
  for (const use of uses) refuses(use, InvalidHandleError, 'freed');
});

test.run();
