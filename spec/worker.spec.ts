import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InvalidHandleError, TaskError, TooManyThreadsError } from '../lib/memory/errors.ts';
import { Region } from '../lib/memory/region.ts';
import { Pool } from '../lib/pool/pool.ts';
import { Queue } from '../lib/queue/queue.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { child, closePools, newModule, newPool, reasonOf, type Tasks, tasks } from './kit/pools.ts';
import { ENTERED, newGate, OPEN } from './kit/tasks.ts';
import { until } from './kit/until.ts';

test.after.each(closePools);

test('the module may be a path, a data: URL, or CommonJS', async () => {
  const path = fileURLToPath(tasks);
  for (const module of [path, relative(process.cwd(), path), tasks.href]) {
    await using pool = new Pool<Tasks>(module, { threads: 1 });
    assert.is(await pool.run(3, { name: 'square' }), 9);
  }
  await using inline = new Pool('data:text/javascript,export const half = (n) => n / 2;', { threads: 1 });
  assert.is(await inline.run(8, { name: 'half' }), 4);
  for (const code of [
    'exports.half = (n) => n / 2;',
    'module.exports = Object.fromEntries([["half", (n) => n / 2]]);',
  ]) {
    await using common = new Pool(newModule('common.cjs', code), { threads: 1 });
    assert.is(await common.run(8, { name: 'half' }), 4);
  }
});

test('the module may be TypeScript, by a loader that execArgv names', async () => {
  const hooks = newModule(
    'hooks.mjs',
    `import { readFile } from 'node:fs/promises';
    export async function load(url, context, next) {
      if (!url.endsWith('.ts')) return next(url, context);
      return { format: 'module', shortCircuit: true, source: String(await readFile(new URL(url))).replaceAll(': number', '') };
    }`,
  );
  const loader = newModule('loader.mjs', `import { register } from 'node:module'; register(${JSON.stringify(hooks)});`);
  const typed = newModule('half.ts', 'export function half(n: number): number { return n / 2; }');
  await using pool = new Pool(typed, { threads: 1, execArgv: ['--import', loader.href] });
  assert.is(await pool.run(8, { name: 'half' }), 4);
  assert.is(await pool.spawn('half', 6).join(), 3);
});

test('the module may be of a language that a preload taught to require only', async () => {
  const preload = newModule(
    'preload.cjs',
    `require.extensions['.half'] = (module, path) =>
      module._compile('exports.half = ' + require('node:fs').readFileSync(path, 'utf8'), path);`,
  );
  const module = newModule('work.half', '(n) => n / 2');
  await using pool = new Pool(module, { threads: 1, execArgv: ['--require', fileURLToPath(preload)] });
  assert.is(await pool.run(8, { name: 'half' }), 4);
  await using untaught = new Pool(module, { threads: 1 });
  const error = await reasonOf(untaught.run(8, { name: 'half' }));
  assert.instance(error, TaskError);
  assert.is(error.cause?.code, 'ERR_UNKNOWN_FILE_EXTENSION');
});

const badFiles: [string, string, RegExp, RegExp][] = [
  ['has a syntax error', 'export const a = ;', /SyntaxError: Unexpected token ';'$/, /^SyntaxError/],
  ['throws while it loads', 'throw new RangeError("not today")', /RangeError: not today$/, /^RangeError: not today/],
  ['imports what is missing', 'import "./none.js"', /Cannot find module .*none.js/, /ERR_MODULE_NOT_FOUND/],
];

for (const [what, code, message, cause] of badFiles) {
  test(`a module that ${what} rejects every task with TaskError, and nothing hangs`, async () => {
    const pool = new Pool(newModule('bad.mjs', code), { threads: 2 });
    const all = [1, 2, 3, 4].map(() => pool.run(1, { name: 'square' }));
    for (const error of await Promise.all([...all, pool.spawn('square', 1).join()].map(reasonOf))) {
      assert.instance(error, TaskError);
      assert.match(error.message, /^cannot load the worker module file:.*bad.mjs: /);
      assert.match(error.message, message);
      assert.match(`${error.cause} ${error.cause?.code}`, cause);
    }
    await pool.close();
  });
}

test('a function that the module does not export rejects with TaskError that names what there is', async () => {
  const pool = newPool();
  const loose = new Pool(tasks, { threads: 1 });
  const all = [loose.run(1, { name: 'cube' }), loose.run(1, { name: 'notAFunction' }), loose.spawn('cube').join()];
  for (const error of await Promise.all(all.map(reasonOf))) {
    assert.instance(error, TaskError);
    assert.match(error.message, /kit\/tasks.js has no function '(cube|notAFunction)': it exports .*square/);
  }
  await loose.close();
  assert.is(await pool.run(3, { name: 'square' }), 9);
});

test('a result that cannot be cloned rejects, and the thread goes on', async () => {
  const pool = newPool();
  const id = await pool.run(undefined, { name: 'thread' });
  for (const kind of ['function', 'inside', 'symbol', 'promise'] as const) {
    const error = await reasonOf(pool.run(kind, { name: 'unclonable' }));
    assert.instance(error, TaskError);
    assert.match(error.message, /^unclonable returned what cannot be cloned: .*could not be cloned/);
    assert.is(error.cause?.name, 'DataCloneError');
  }
  assert.is(await pool.run(undefined, { name: 'thread' }), id);
});

test('workerData is what the user gave', async () => {
  const pool = newPool({ workerData: { city: 'Wien' } });
  assert.equal(await pool.run(undefined, { name: 'data' }), { city: 'Wien' });
  assert.equal(await pool.spawn('data').join(), { city: 'Wien' });
  assert.is(await newPool().run(undefined, { name: 'data' }), undefined);
});

test('what a task prints before the pool closes is printed', async () => {
  const { stdout } = await child(`
    for (let round = 0; round < 4; round++) {
      const pool = new Pool(tasks, { threads: 1 });
      await pool.run(1, { name: 'square' });
      await pool.spawn('print', 1000).join();
      await pool.run(1000, { name: 'print' });
      await pool.close();
    }`);
  assert.is(stdout.split('\n').length, 8001);
});

test('shared objects arrive live wherever they stand: payload, arguments, result, workerData, and the error of a task', async () => {
  const mutex = new Mutex({ name: 'stock' });
  const counters = Region.current.array(Int32Array, 4);
  const pool = newPool({ threads: 2, workerData: new Map([['mutex', mutex]]) });
  const rounds = 2000;
  const back = await pool.run({ mutex, nested: [{ counters }], rounds }, { name: 'countUnder' });
  assert.instance(back.get('mutex'), Mutex);
  const all = [1, 2].map(() => pool.run({ mutex, nested: [{ counters }], rounds }, { name: 'countUnder' }));
  await Promise.all([...all, pool.spawn('countUnder', { mutex, nested: [{ counters }], rounds }).join()]);
  assert.is(counters[0], 4 * rounds);
  assert.is(await pool.run(undefined, { name: 'nameOfData' }), 'stock');
  assert.is(await pool.spawn('nameOfData').join(), 'stock');
  const error = await reasonOf(pool.run(mutex, { name: 'failWith' }));
  const { mutex: carried } = error as unknown as { mutex: Mutex };
  assert.instance(carried, Mutex);
  mutex.with(() => assert.ok(carried.locked));
});

test('spawned functions talk through a queue that blocks them, with no thread of the pool free', async () => {
  const pool = newPool();
  const gate = newGate();
  const busy = pool.run(gate, { name: 'spin' });
  const queue = new Queue<number>({ capacity: 2 });
  const makers = [pool.spawn('produce', queue, 50), pool.spawn('produce', queue, 50)];
  const eaters = [pool.spawn('consume', queue), pool.spawn('consume', queue)];
  await Promise.all(makers.map((thread) => thread.join()));
  queue.close();
  const [first, second] = await Promise.all(eaters.map((thread) => thread.join()));
  assert.is(Number(first) + Number(second), 2 * 1225);
  Atomics.store(gate, OPEN, 1);
  await busy;
});

test("the region of the pool is its threads' Region.current, also while the module loads", async () => {
  const region = new Region({ threads: 8 });
  const pool = newPool({ region });
  for (const made of [await pool.run(undefined, { name: 'newMutex' }), await pool.spawn('newMutex').join()]) {
    assert.ok(made.every((mutex) => mutex.region === region));
    assert.ok(made.every((mutex) => mutex.tryLock()));
  }
  assert.is.not(Region.current, region);
});

test('a freed object is refused at the call, as payload and as argument', async () => {
  const pool = newPool();
  const mutex = new Mutex();
  mutex.free();
  const payload = { mutex, nested: [], rounds: 0 };
  assert.instance(await reasonOf(pool.run(payload, { name: 'countUnder' })), InvalidHandleError);
  assert.throws(
    () => pool.spawn('countUnder', payload),
    (error: Error) => error instanceof InvalidHandleError,
  );
  assert.equal([pool.stats().pending, pool.stats().spawned], [0, 0]);
});

test('a region with too few slots for its threads rejects with TooManyThreadsError, until one is free', async () => {
  const pool = newPool({ region: new Region({ threads: 2 }) });
  const gate = newGate();
  const holding = pool.spawn('hold', gate);
  await until(() => Atomics.load(gate, ENTERED) === 1);
  const all = [pool.run(2, { name: 'square' }), pool.spawn('square', 2).join()];
  for (const error of await Promise.all(all.map(reasonOf))) assert.instance(error, TooManyThreadsError);
  Atomics.store(gate, OPEN, 1);
  await holding.join();
  assert.is(await pool.run(2, { name: 'square' }), 4);
});

test('the slots of threads that ended are free again, whatever their end', async () => {
  const pool = newPool({ region: new Region({ threads: 4 }) });
  for (let round = 0; round < 4; round++) {
    await reasonOf(pool.run('exit', { name: 'die' }));
    await reasonOf(pool.run('throw', { name: 'die' }));
    assert.is(await pool.spawn('square', 3).join(), 9);
    await reasonOf(pool.spawn('die', 'exit').join());
    const gate = newGate();
    const aborter = new AbortController();
    const spinning = reasonOf(pool.run(gate, { name: 'spin', signal: aborter.signal, terminate: true }));
    const thread = pool.spawn('spin', gate);
    await until(() => Atomics.load(gate, ENTERED) === 2);
    aborter.abort();
    await thread.terminate();
    assert.is(await spinning, aborter.signal.reason);
  }
  assert.is(await pool.run(3, { name: 'square' }), 9);
});

test.run();
