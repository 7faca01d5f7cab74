import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as errors from '../lib/memory/errors.ts';

/** One of each, with its stable code and what its message must say. */
const table: [errors.RingfenceError, code: string, message: RegExp][] = [
  [new errors.TimeoutError('lock of mutex "a"', 20), 'ERR_TIMEOUT', /^lock of mutex "a" timed out after 20 ms$/],
  [new errors.ClosedError('queue "q"'), 'ERR_CLOSED', /^queue "q" is closed$/],
  [new errors.NotOwnerError('not yours'), 'ERR_NOT_OWNER', /^not yours$/],
  [new errors.OwnerDiedError('gone'), 'ERR_OWNER_DIED', /^gone$/],
  [new errors.DeadlockError('for ever'), 'ERR_DEADLOCK', /^for ever$/],
  [new errors.BrokenBarrierError('barrier "b"'), 'ERR_BROKEN_BARRIER', /^barrier "b" is broken$/],
  [new errors.RegionFullError(900, 256, 640), 'ERR_REGION_FULL', /900 bytes.*640 are left.*256/],
  [new errors.TooManyThreadsError(8), 'ERR_TOO_MANY_THREADS', /all 8 thread slots.*threads/],
  [new errors.MessageTooLargeError(900, 640), 'ERR_MESSAGE_TOO_LARGE', /900 bytes.*640/],
  [new errors.CodecError('i32', 'cannot carry 0.5'), 'ERR_CODEC', /^codec i32 cannot carry 0\.5$/],
  [new errors.InvalidHandleError('stale'), 'ERR_INVALID_HANDLE', /^stale$/],
  [new errors.TaskError('failed'), 'ERR_TASK', /^failed$/],
  [new errors.ThreadDiedError('ended'), 'ERR_THREAD_DIED', /^ended$/],
  [
    new errors.StageError('parse', 7, new Error('no date')),
    'ERR_STAGE',
    /^stage "parse" failed at record 7: .*no date$/,
  ],
];

test('every error carries its code, its class as its name, and a message that says what and how much', () => {
  for (const [error, code, message] of table) {
    assert.is(error.code, code);
    assert.is(error.name, error.constructor.name);
    assert.match(error.message, message);
    assert.instance(error, errors.RingfenceError);
    assert.instance(error, Error);
  }
  assert.is(new Set(table.map(([error]) => error.code)).size, table.length, 'no two share a code');
});

test('every error class of the library is in the table above', () => {
  const classes = Object.values(errors).filter((value) => value.prototype instanceof errors.RingfenceError);
  assert.equal(new Set(classes), new Set(table.map(([error]) => error.constructor)));
});

test('an error names itself in its stack, and keeps its cause', () => {
  const cause = new RangeError('inner');
  for (const error of [
    new errors.TaskError('outer', { cause }),
    new errors.ThreadDiedError('outer', { cause }),
    new errors.CodecError('any', 'outer', { cause }),
  ]) {
    assert.is(error.cause, cause);
    assert.match(error.stack ?? '', /outer/);
    assert.match(String(error), new RegExp(`^${error.constructor.name}: `));
  }
});

test('an integer out of range, fractional or not a number is refused with argument, value and range', () => {
  const wrong = (value: unknown) => () => errors.requireInteger('capacity', value, 1, 64);
  for (const value of [0, -1, 65, 0.5, 2 ** 40, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(wrong(value), (error: Error) => {
      assert.instance(error, RangeError);
      return error.message === `capacity must be an integer from 1 to 64: got ${value}`;
    });
  }
  for (const [value, said] of [
    ['8', '"8"'],
    [undefined, 'undefined'],
    [null, 'null'],
    [8n, '8n'],
  ] as const) {
    assert.throws(wrong(value), (error: Error) => {
      assert.instance(error, TypeError);
      return error.message === `capacity must be a number: got ${said}`;
    });
  }
  for (const value of [1, 64]) assert.not.throws(wrong(value));
});

test('a timeout is 0 or more milliseconds, or nothing for ever', () => {
  assert.is(errors.requireTimeout(undefined), Number.POSITIVE_INFINITY);
  for (const value of [0, 0.5, 2 ** 40, Number.POSITIVE_INFINITY]) assert.is(errors.requireTimeout(value), value);
  for (const value of [-1, Number.NaN, Number.NEGATIVE_INFINITY]) {
    assert.throws(
      () => errors.requireTimeout(value),
      (error: Error) => error instanceof RangeError && error.message.endsWith(`: got ${value}`),
    );
  }
  for (const value of ['5', null, {}, 5n]) {
    assert.throws(
      () => errors.requireTimeout(value),
      (error: Error) => error instanceof TypeError && error.message.startsWith('timeout must be'),
    );
  }
});

test('a message shows any value in a short form', () => {
  class Basket {}
  const shown: [unknown, string][] = [
    ['a"b', '"a\\"b"'],
    ['x'.repeat(41), `"${'x'.repeat(40)}…"`],
    [new Basket(), 'an object (Basket)'],
    [Object.create(null), 'an object (no prototype)'],
    [null, 'null'],
    [12n, '12n'],
    [Symbol('s'), 'Symbol(s)'],
    [function hash() {}, 'a function (hash)'],
    [() => {}, 'a function (anonymous)'],
    [-0.5, '-0.5'],
  ];
  for (const [value, text] of shown) assert.is(errors.show(value), text);
});

test.run();
