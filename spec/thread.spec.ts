import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TaskError, ThreadDiedError, TimeoutError } from '../lib/memory/errors.ts';
import { closePools, newPool, reasonOf } from './kit/pools.ts';
import { ENTERED, newGate, OPEN } from './kit/tasks.ts';
import { until } from './kit/until.ts';

test.after.each(closePools);

test('spawned functions run at once and together, also while every thread of the pool is busy', async () => {
  const pool = newPool();
  const gate = newGate();
  const busy = pool.run(gate, { name: 'spin' });
  const turns = new Int32Array(new SharedArrayBuffer(4));
  const runners = [pool.spawn('relay', turns, 0, 6), pool.spawn('relay', turns, 1, 6)];
  await Promise.all(runners.map((thread) => thread.join()));
  assert.is(turns[0], 6);
  Atomics.store(gate, OPEN, 1);
  await busy;
});

test('join resolves with the result, for every caller and also late', async () => {
  const thread = newPool().spawn('squareLater', 9);
  const [first, second] = await Promise.all([thread.join(), thread.join()]);
  assert.is(first + second, 162);
  assert.is(await thread.join({ timeout: 0 }), 81);
});

test('a thread is alive until it has ended, and keeps its id', async () => {
  const gate = newGate();
  const thread = newPool().spawn('hold', gate);
  assert.ok(thread.alive);
  assert.ok(thread.id > 0);
  const { id } = thread;
  Atomics.store(gate, OPEN, 1);
  assert.is(await thread.join(), id);
  assert.not(thread.alive);
  assert.is(thread.id, id);
});

test('a thread ends with its function, whatever timers that left', async () => {
  const thread = newPool().spawn('leaveTimer');
  assert.is(await thread.join(), 'done');
  assert.not(thread.alive);
});

test('join rejects with what the function threw, whole', async () => {
  const pool = newPool();
  const error = await reasonOf(pool.spawn('fail', 'own').join());
  assert.is(`${error}`, 'PriceError: price is negative');
  assert.is(error.code, 'ERR_PRICE');
  assert.is(error.cause?.message, 'outer');
  assert.match(error.stack ?? '', /tasks\.js/);
  assert.is(await reasonOf(pool.spawn('fail', 'string').join()), 'just words');
});

test('a result that cannot be cloned rejects with TaskError, an argument that cannot throws it', async () => {
  const pool = newPool();
  const error = await reasonOf(pool.spawn('unclonable', 'inside').join());
  assert.instance(error, TaskError);
  assert.is(error.cause?.name, 'DataCloneError');
  assert.throws(
    () => pool.spawn('default', () => {}),
    (thrown: Error) => thrown instanceof TaskError && /^default in pool tasks.js was not started/.test(thrown.message),
  );
  assert.is(pool.stats().spawned, 0);
  assert.equal(await pool.spawn('moveTwice').join(), new Uint8Array(8));
});

test('an error that nobody joins is no unhandled rejection', async () => {
  const pool = newPool();
  const thread = pool.spawn('fail', 'type');
  await until(() => !thread.alive);
  await pool.close();
});

for (const [how, cause] of [
  ['exit', /^undefined$/],
  ['throw', /^RangeError: thrown in a callback$/],
  ['reject', /^RangeError: nobody handles this$/],
] as const) {
  test(`a thread that dies by ${how} rejects its join with ThreadDiedError`, async () => {
    const error = await reasonOf(newPool().spawn('die', how).join());
    assert.instance(error, ThreadDiedError);
    assert.match(error.message, /^the thread of die in pool tasks.js ended before its function did, with code [13]$/);
    assert.match(String(error.cause), cause);
  });
}

test('terminate ends a thread that never yields, and join rejects', async () => {
  const gate = newGate();
  const thread = newPool().spawn('spin', gate);
  await until(() => Atomics.load(gate, ENTERED) === 1);
  const joined = reasonOf(thread.join());
  await thread.terminate();
  assert.not(thread.alive);
  assert.instance(await joined, ThreadDiedError);
  await thread.terminate();
});

test('a join that expires or is aborted leaves the thread running', async () => {
  const gate = newGate();
  const thread = newPool().spawn('hold', gate);
  const expired = await reasonOf(thread.join({ timeout: 1 }));
  assert.instance(expired, TimeoutError);
  assert.is(expired.message, 'join of hold in pool tasks.js timed out after 1 ms');
  const aborter = new AbortController();
  const joining = reasonOf(thread.join({ signal: aborter.signal }));
  aborter.abort('enough');
  assert.is(await joining, 'enough');
  assert.is(await reasonOf(thread.join({ signal: aborter.signal })), 'enough');
  assert.match(String(await reasonOf(thread.join({ timeout: Number.NaN }))), /^RangeError: timeout/);
  assert.ok(thread.alive);
  Atomics.store(gate, OPEN, 1);
  assert.is(await thread.join(), thread.id);
});

test('messages that the function sends itself are not taken for its result', async () => {
  assert.is(await newPool().spawn('chatter', 3).join(), 3);
});

test.run();
