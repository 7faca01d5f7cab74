import { getEventListeners } from 'node:events';
import { move } from 'piscina';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ClosedError, TaskError, ThreadDiedError, TimeoutError } from '../lib/memory/errors.ts';
import { Pool } from '../lib/pool/pool.ts';
import { child, closePools, newPool, reasonOf, tasks } from './kit/pools.ts';
import { ENTERED, newGate, OPEN } from './kit/tasks.ts';
import { until } from './kit/until.ts';

test.after.each(closePools);

test('a task is an exported function, sync or async, or the default export', async () => {
  const pool = newPool();
  assert.is(await pool.run(7, { name: 'square' }), 49);
  assert.is(await pool.run(8, { name: 'squareLater' }), 64);
  assert.equal(await pool.run({ a: [1, new Map([[1, new Date(0)]])] }), { a: [1, new Map([[1, new Date(0)]])] });
  assert.is(await pool.run(undefined), undefined);
  assert.is.not(await pool.run(undefined, { name: 'thread' }), 0);
});

test('names, payloads and results are typed by the module', async () => {
  const pool = newPool();
  const squared: number = await pool.run(2, { name: 'square' });
  assert.is(squared, 4);
  const typed = (): unknown[] => [
    // @ts-expect-error the payload of square is a number
    pool.run('2', { name: 'square' }),
    // @ts-expect-error there is no such function
    pool.run(2, { name: 'cube' }),
    // @ts-expect-error this export is not a function
    pool.run(2, { name: 'notAFunction' }),
    // @ts-expect-error relay takes three arguments
    pool.spawn('relay', new Int32Array(1)),
    // @ts-expect-error the items of the source are numbers
    pool.map(['2'], { name: 'square' }),
  ];
  assert.type(typed, 'function');
  const untyped = new Pool(tasks, { threads: 1 });
  const anything: unknown = await untyped.run(2, { name: 'square' });
  await untyped.close();
  assert.is(anything, 4);
});

const badRuns: [string, object, RegExp][] = [
  ["name ''", { name: '' }, /^TypeError: name must be a string of at least one character: got ""$/],
  [
    'timeout NaN',
    { timeout: Number.NaN },
    /^RangeError: timeout must be 0 or more milliseconds, or Infinity: got NaN$/,
  ],
  ['timeout -1', { timeout: -1 }, /^RangeError: timeout .*: got -1$/],
  ["timeout '1'", { timeout: '1' }, /^TypeError: timeout must be a number of milliseconds: got "1"$/],
  ['signal {}', { signal: {} }, /^TypeError: signal must be an AbortSignal: got an object \(Object\)$/],
  ['transferList 1', { transferList: 1 }, /^TypeError: transferList must be an array: got 1$/],
];

for (const [what, options, message] of badRuns) {
  test(`run refuses ${what} and counts nothing`, async () => {
    const pool = newPool();
    assert.match(String(await reasonOf(pool.run(1, options))), message);
    assert.is(pool.stats().pending + pool.stats().failed, 0);
  });
}

test('a payload that cannot be cloned rejects, idle or queued, and the pool goes on', async () => {
  const pool = newPool();
  const gate = newGate();
  const idle = await reasonOf(pool.run({ run: () => {} }));
  const held = pool.run(gate, { name: 'hold' });
  const queued = reasonOf(pool.run({ run: () => {} }));
  const behind = pool.run(3, { name: 'square' });
  Atomics.store(gate, OPEN, 1);
  for (const error of [idle, await queued]) {
    assert.instance(error, TaskError);
    assert.match(error.message, /^default in pool tasks.js was not run: .*could not be cloned/);
    assert.is(error.cause?.name, 'DataCloneError');
  }
  await held;
  assert.is(await behind, 9);
});

test('transferList and move() move payloads and results', async () => {
  const pool = newPool();
  const listed = new Uint8Array(1000);
  assert.is(await pool.run(listed, { name: 'length', transferList: [listed.buffer] }), 1000);
  assert.is(listed.length, 0);
  const moved = new Uint8Array(1000).fill(7);
  const back = await pool.run(move(moved) as Uint8Array, { name: 'moveBack' });
  assert.is(moved.length, 0);
  assert.equal(back, new Uint8Array(1000).fill(7));
  const wrong = await reasonOf(pool.run(1, { name: 'square', transferList: [{} as ArrayBuffer] }));
  assert.instance(wrong, TaskError);
  assert.is(await pool.run(2, { name: 'square' }), 4);
});

test('a buffer that was moved before rejects, at once, in the queue and as a result: Node would lose the message', async () => {
  const pool = newPool();
  const bytes = new Uint8Array(1000);
  const first = pool.run(bytes, { name: 'length', transferList: [bytes.buffer] });
  const queued = reasonOf(pool.run(bytes, { name: 'length', transferList: [bytes.buffer] }));
  assert.is(await first, 1000);
  const late = reasonOf(pool.run(move(bytes) as Uint8Array, { name: 'length' }));
  assert.is((await pool.run(undefined, { name: 'moveTwice' })).length, 8);
  const result = reasonOf(pool.run(undefined, { name: 'moveTwice' }));
  for (const error of await Promise.all([queued, late, result])) {
    assert.instance(error, TaskError);
    assert.is(error.cause?.name, 'DataCloneError');
  }
  assert.is(await pool.run(2, { name: 'square' }), 4);
});

test('an abort takes a queued task out of the queue, and the others go on', async () => {
  const pool = newPool();
  const gate = newGate();
  const held = pool.run(gate, { name: 'hold' });
  const aborter = new AbortController();
  const aborted = pool.run(gate, { name: 'hold', signal: aborter.signal });
  const behind = pool.run(3, { name: 'square' });
  const reason = new Error('no longer needed');
  aborter.abort(reason);
  assert.is(await reasonOf(aborted), reason);
  Atomics.store(gate, OPEN, 1);
  await held;
  assert.is(await behind, 9);
  assert.is(Atomics.load(gate, ENTERED), 1);
});

test('an abort of a running task terminates its thread, even one that never yields, and another takes its place', async () => {
  const pool = newPool();
  const gate = newGate();
  const aborter = new AbortController();
  const spinning = pool.run(gate, { name: 'spin', signal: aborter.signal, terminate: true });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  const behind = pool.run(3, { name: 'square' });
  aborter.abort();
  assert.is(await reasonOf(spinning), aborter.signal.reason);
  assert.is(await behind, 9);
});

test('a signal that is aborted already starts nothing', async () => {
  const pool = newPool();
  const gate = newGate();
  const reason = new Error('too late');
  assert.is(await reasonOf(pool.run(gate, { name: 'hold', signal: AbortSignal.abort(reason) })), reason);
  await pool.close();
  assert.is(Atomics.load(gate, ENTERED), 0);
});

test('a timeout rejects with TimeoutError, whether the task runs or waits', async () => {
  const pool = newPool();
  const gate = newGate();
  const held = pool.run(gate, { name: 'hold' });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  const waiting = await reasonOf(pool.run(gate, { name: 'hold', timeout: 1 }));
  assert.instance(waiting, TimeoutError);
  assert.is(waiting.message, 'hold in pool tasks.js timed out after 1 ms');
  Atomics.store(gate, OPEN, 1);
  await held;
  const endless = newGate();
  assert.instance(await reasonOf(pool.run(endless, { name: 'spin', timeout: 300, terminate: true })), TimeoutError);
  assert.is(await pool.run(3, { name: 'square', timeout: Infinity }), 9);
  assert.is(await pool.run(3, { name: 'square', timeout: 2 ** 40 }), 9);
});

test('one signal for many tasks raises no warning and leaves no listener', async () => {
  const pool = newPool();
  const warnings: Error[] = [];
  const hear = (warning: Error): unknown => warnings.push(warning);
  process.on('warning', hear);
  const { signal } = new AbortController();
  await Promise.all(Array.from({ length: 30 }, (_, n) => pool.run(n, { name: 'square', signal })));
  await pool.close();
  process.off('warning', hear);
  assert.is(getEventListeners(signal, 'abort').length, 0);
  assert.equal(warnings, []);
});

test('stats count threads and tasks', async () => {
  const pool = newPool({ threads: 2 });
  const gate = newGate();
  const held = [1, 2, 3].map(() => pool.run(gate, { name: 'hold' }));
  const thread = pool.spawn('hold', gate);
  await until(() => Atomics.load(gate, ENTERED) === 3);
  const { runTime: _, waitTime: __, ...busy } = pool.stats();
  assert.equal(busy, { threads: 2, idle: 0, spawned: 1, pending: 3, queued: 1, completed: 0, failed: 0 });
  Atomics.store(gate, OPEN, 1);
  await Promise.all([...held, thread.join()]);
  await reasonOf(pool.run('type', { name: 'fail' }));
  const { runTime, waitTime, ...idle } = pool.stats();
  assert.equal(idle, { threads: 2, idle: 2, spawned: 0, pending: 0, queued: 0, completed: 3, failed: 1 });
  for (const times of [runTime, waitTime]) {
    for (const time of [times?.mean, times?.p50, times?.p99, times?.max]) assert.ok(Number(time) >= 0);
  }
  assert.not('runTime' in newPool({ recordTiming: false }).stats());
});

test('close finishes the tasks that were accepted, queued ones too, and accepts nothing more', async () => {
  const pool = newPool({ threads: 2 });
  const gate = newGate();
  const accepted = Array.from({ length: 9 }, () => pool.run(gate, { name: 'hold' }));
  const closing = pool.close();
  assert.instance(await reasonOf(pool.run(1, { name: 'square' })), ClosedError);
  assert.throws(
    () => pool.spawn('thread'),
    (error: Error) => error instanceof ClosedError,
  );
  assert.throws(
    () => pool.map([1], { name: 'square' }),
    (error: Error) => error instanceof ClosedError,
  );
  Atomics.store(gate, OPEN, 1);
  await closing;
  assert.is((await Promise.all(accepted)).length, 9);
  assert.is(pool.stats().threads, 0);
  await pool.close();
});

test('close waits for spawned threads', async () => {
  const pool = newPool();
  const gate = newGate();
  const thread = pool.spawn('hold', gate);
  const closing = pool.close();
  await until(() => Atomics.load(gate, ENTERED) === 1);
  Atomics.store(gate, OPEN, 1);
  await closing;
  assert.not(thread.alive);
  assert.is(await thread.join(), thread.id);
});

test('close({ timeout }) terminates what is left, and its tasks reject', async () => {
  const pool = newPool();
  const gate = newGate();
  const running = pool.run(gate, { name: 'spin' });
  const queued = pool.run(gate, { name: 'spin' });
  const thread = pool.spawn('spin', gate);
  const errors = Promise.all([running, queued, thread.join()].map(reasonOf));
  await until(() => Atomics.load(gate, ENTERED) === 2);
  const patient = pool.close();
  await pool.close({ timeout: 5 });
  await patient;
  for (const error of await errors) assert.instance(error, ThreadDiedError);
  assert.is(pool.stats().threads + pool.stats().spawned + pool.stats().pending, 0);
  assert.match(String(await reasonOf(pool.close({ timeout: -1 }))), /^RangeError: timeout/);
});

test('an idle pool does not keep the process running, a pending task and a spawned thread do', async () => {
  const { code, stdout, stderr } = await child(`
    const pool = new Pool(tasks, { threads: 2 });
    pool.run(3, { name: 'squareLater' }).then((n) => console.log('ran', n));
    pool.spawn('squareLater', 4).join().then((n) => console.log('joined', n));`);
  assert.is(code, 0);
  assert.equal(stdout.split('\n').sort(), ['', 'joined 16', 'ran 9']);
  assert.is(stderr, '');
});

test('a closed pool leaves nothing that keeps the process running, whatever happened in it', async () => {
  const { code, stdout, stderr } = await child(`
    const pool = new Pool(tasks, { threads: 2 });
    const gate = new Int32Array(new SharedArrayBuffer(8));
    await Promise.allSettled([
      pool.run('exit', { name: 'die' }), pool.run('type', { name: 'fail' }),
      pool.run(gate, { name: 'spin', timeout: 200, terminate: true }), pool.run(1, { name: 'square', timeout: 1e6 }),
    ]).then((all) => console.log(all.map((one) => one.reason?.name ?? one.value).join()));
    pool.spawn('fail', 'type');
    for await (const n of pool.map([1, 2, 3], { name: 'square' })) if (n === 4) break;
    await pool.close();
    console.log('closed', pool.stats().failed);`);
  assert.is(code, 0);
  assert.is(stdout, 'ThreadDiedError,TypeError,TimeoutError,1\nclosed 3\n');
  assert.is(stderr, '');
});

test.run();
