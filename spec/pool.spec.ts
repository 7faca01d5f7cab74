import { execFile } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ArrayTaskQueue, move, queueOptionsSymbol } from 'piscina';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ClosedError, TaskError, ThreadDiedError, TimeoutError } from '../lib/memory/errors.ts';
import { Region } from '../lib/memory/region.ts';
import { Pool } from '../lib/pool/pool.ts';
import { closePools, newPool, reasonOf, type Tasks, tasks } from './kit/pools.ts';
import { ENTERED, newGate, OPEN } from './kit/tasks.ts';
import { until } from './kit/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringfence-'));
test.after(() => rmSync(folder, { recursive: true }));

/** A module that the compiler would not let through. */
function newModule(name: string, code: string): URL {
  const path = join(mkdtempSync(join(folder, 'module-')), name);
  writeFileSync(path, code);
  return pathToFileURL(path);
}

/** Runs a program of its own and waits until it has exited by itself. */
function child(code: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const imports = `import { Pool } from ${JSON.stringify(new URL('../lib/pool/pool.js', import.meta.url))};
    const tasks = new URL(${JSON.stringify(tasks)});\n`;
  const program = fileURLToPath(newModule('program.mjs', imports + code));
  return new Promise((resolve) => {
    execFile(process.execPath, [program], { timeout: 20_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
    );
  });
}

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

const badOptions: [string, object, RegExp][] = [
  ['threads 0', { threads: 0 }, /^RangeError: threads must be an integer from 1 to 1024: got 0$/],
  ['threads -1', { threads: -1 }, /^RangeError: threads .*: got -1$/],
  ['threads 1.5', { threads: 1.5 }, /^RangeError: threads .*: got 1.5$/],
  ['threads NaN', { threads: Number.NaN }, /^RangeError: threads .*: got NaN$/],
  ['threads 1025', { threads: 1025 }, /^RangeError: threads .*: got 1025$/],
  ["threads '2'", { threads: '2' }, /^TypeError: threads must be a number: got "2"$/],
  ['threads and maxThreads', { threads: 2, maxThreads: 4 }, /^TypeError: threads excludes minThreads and maxThreads/],
  ['minThreads 0', { minThreads: 0 }, /^RangeError: minThreads .*: got 0$/],
  ['maxThreads NaN', { maxThreads: Number.NaN }, /^RangeError: maxThreads .*: got NaN$/],
  [
    'concurrentTasksPerWorker 0.5',
    { concurrentTasksPerWorker: 0.5 },
    /^RangeError: concurrentTasksPerWorker .*: got 0.5$/,
  ],
  ['filename', { filename: 'a.js' }, /^TypeError: filename is no option of Pool: use the first argument$/],
  ['closeTimeout', { closeTimeout: 1 }, /^TypeError: closeTimeout is no option of Pool: use close\(\{ timeout \}\)$/],
  ['region {}', { region: {} }, /^TypeError: region must be a Region: got an object \(Object\)$/],
  ['name 3', { name: 3 }, /^TypeError: name must be a string of at least one character: got 3$/],
  ["atomics 'on', which piscina refuses", { atomics: 'on' }, /^TypeError: .*atomics/],
];

for (const [what, options, message] of badOptions) {
  test(`the constructor refuses ${what}`, () => {
    assert.throws(
      () => new Pool(tasks, options),
      (error: Error) => message.test(String(error)),
    );
  });
}

const badModules: [string, unknown, RegExp][] = [
  [
    'a file that is not there',
    new URL('./none.js', import.meta.url),
    /^TaskError: the worker module file:.*none.js does not exist/,
  ],
  ['a relative path that is not there', './none.js', /^TaskError: the worker module file:.*none.js does not exist/],
  ['http:', 'http://localhost/a.js', /^TypeError: module must be a file: or data: URL: got "http:/],
  ['no string', 5, /^TypeError: module must be a URL or the path of a file: got 5$/],
  ['nothing', '', /^TypeError: module must be a URL or the path of a file: got ""$/],
];

for (const [what, module, message] of badModules) {
  test(`the constructor refuses a module that is ${what}`, () => {
    assert.throws(
      () => new Pool(module as string),
      (error: Error) => message.test(String(error)),
    );
  });
}

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
  const spinning = pool.run(gate, { name: 'spin', signal: aborter.signal });
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
  assert.instance(await reasonOf(pool.run(endless, { name: 'spin', timeout: 300 })), TimeoutError);
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

for (const [how, cause] of [
  ['exit', /worker exited with code: 3/],
  ['throw', /RangeError: thrown in a callback/],
  ['reject', /RangeError: nobody handles this/],
] as const) {
  test(`a thread that dies by ${how} rejects its task with ThreadDiedError, and queued ones go on`, async () => {
    const pool = newPool();
    const dying = reasonOf(pool.run(how, { name: 'die' }));
    const behind = pool.run(3, { name: 'square' });
    const error = await dying;
    assert.instance(error, ThreadDiedError);
    assert.match(error.message, /^the thread of die in pool tasks.js ended before its function did/);
    assert.match(String(error.cause), cause);
    assert.is(await behind, 9);
  });
}

test('all tasks of a thread that dies reject, and no others', async () => {
  const pool = newPool({ concurrentTasksPerWorker: 3 });
  const gate = newGate();
  const held = [pool.run(gate, { name: 'hold' }), pool.run(gate, { name: 'hold' })];
  await until(() => Atomics.load(gate, ENTERED) === 2);
  const dying = pool.run('exit', { name: 'die' });
  const behind = pool.run(3, { name: 'square' });
  const errors = await Promise.all([...held, dying].map(reasonOf));
  for (const error of errors) assert.instance(error, ThreadDiedError);
  assert.is(await behind, 9);
});

test('an error in a callback that a task left behind is a warning, and the pool goes on', async () => {
  const pool = newPool();
  const gate = newGate();
  await pool.run(gate, { name: 'leaveBomb' });
  const warnings: Error[] = [];
  process.once('warning', (warning) => warnings.push(warning));
  Atomics.store(gate, OPEN, 1);
  await until(() => warnings.length > 0);
  const warning = warnings[0] as Error;
  assert.instance(warning, ThreadDiedError);
  assert.match(warning.message, /^a thread of pool tasks.js died between tasks: RangeError: thrown in a callback/);
  assert.is(await pool.run(3, { name: 'square' }), 9);
});

for (const [what, code] of [
  ['throws', 'throw new Error("no start")'],
  ['exits', 'process.exit(5)'],
]) {
  test(`threads that cannot start, since a preload ${what}, reject every task instead of hanging`, async () => {
    const execArgv = [
      '--import',
      `data:text/javascript,${encodeURIComponent(`import { isMainThread } from "node:worker_threads"; if (!isMainThread) ${code}`)}`,
    ];
    const pool = newPool({ execArgv, threads: 2 });
    const all = Array.from({ length: 9 }, () => reasonOf(pool.run(3, { name: 'square' })));
    for (const error of await Promise.all(all)) assert.instance(error, ThreadDiedError);
    const later = await reasonOf(pool.run(3, { name: 'square' }));
    assert.instance(later, ThreadDiedError);
    if (what === 'throws') assert.match(later.message, /no start/);
    await pool.close();
  });
}

test('a full queue rejects with TaskError and loses nothing', async () => {
  const pool = newPool({ maxQueue: 2 });
  const gate = newGate();
  const held = pool.run(gate, { name: 'hold' });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  const queued = [pool.run(2, { name: 'square' }), pool.run(3, { name: 'square' })];
  const error = await reasonOf(pool.run(4, { name: 'square' }));
  assert.instance(error, TaskError);
  assert.match(error.message, /^square in pool tasks.js was not run: Task queue is at limit$/);
  Atomics.store(gate, OPEN, 1);
  await held;
  assert.equal(await Promise.all(queued), [4, 9]);
});

test("piscina's options pass through: a task queue with options of the tasks, and a growing pool", async () => {
  const seen: unknown[] = [];
  class Listening extends ArrayTaskQueue {
    override push(task: Parameters<ArrayTaskQueue['push']>[0]): void {
      seen.push(task[queueOptionsSymbol]);
      super.push(task);
    }
  }
  const pool = newPool({ taskQueue: new Listening() });
  const gate = newGate();
  const held = pool.run(gate, { name: 'hold' });
  const urgent = pool.run({ [queueOptionsSymbol]: { priority: 9 } });
  Atomics.store(gate, OPEN, 1);
  await Promise.all([held, urgent]);
  assert.equal(seen[0], { priority: 9 });
  const growing = newPool({ threads: undefined, minThreads: 1, maxThreads: 3, idleTimeout: 10_000 });
  assert.is(growing.stats().threads, 1);
  const together = newGate();
  const three = [1, 2, 3].map(() => growing.run(together, { name: 'hold' }));
  await until(() => Atomics.load(together, ENTERED) === 3);
  Atomics.store(together, OPEN, 1);
  assert.is(new Set(await Promise.all(three)).size, 3);
});

test('workerData is what the user gave', async () => {
  const pool = newPool({ workerData: { city: 'Wien' } });
  assert.equal(await pool.run(undefined, { name: 'data' }), { city: 'Wien' });
  assert.equal(await pool.spawn('data').join(), { city: 'Wien' });
  assert.is(await newPool().run(undefined, { name: 'data' }), undefined);
});

test('stats count threads and tasks', async () => {
  const pool = newPool({ threads: 2 });
  const gate = newGate();
  const held = [1, 2, 3].map(() => pool.run(gate, { name: 'hold' }));
  const thread = pool.spawn('hold', gate);
  await until(() => Atomics.load(gate, ENTERED) === 3);
  const { runTime: _, ...busy } = pool.stats();
  assert.equal(busy, { threads: 2, idle: 0, spawned: 1, pending: 3, queued: 1, completed: 0, failed: 0 });
  Atomics.store(gate, OPEN, 1);
  await Promise.all([...held, thread.join()]);
  await reasonOf(pool.run('type', { name: 'fail' }));
  const { runTime, ...idle } = pool.stats();
  assert.equal(idle, { threads: 2, idle: 2, spawned: 0, pending: 0, queued: 0, completed: 3, failed: 1 });
  for (const time of [runTime?.mean, runTime?.p50, runTime?.p99, runTime?.max]) assert.type(time, 'number');
  assert.not('runTime' in newPool({ recordTiming: false }).stats());
});

test('queued tasks begin in the order in which they were accepted, with a signal or without', async () => {
  const pool = newPool();
  const order: number[] = [];
  const { signal } = new AbortController();
  const run = (n: number): Promise<unknown> =>
    pool.run(n, { name: 'square', ...(n % 3 === 0 && { signal }) }).then(() => order.push(n));
  const all = Array.from({ length: 16 }, (_, n) => n);
  await Promise.all(all.map(run));
  assert.equal(order, all);
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

test('the region hears of the exit of every thread once, whatever its end', async () => {
  const region = new Region();
  const exited: number[] = [];
  const { threadExited } = region;
  region.threadExited = (id) => {
    exited.push(id);
    threadExited.call(region, id);
  };
  const pool = newPool({ region, threads: 2 });
  const gate = newGate();
  const aborter = new AbortController();
  const spinning = reasonOf(pool.run(gate, { name: 'spin', signal: aborter.signal }));
  // This turn of the event loop lasts until the task has begun: it hears of no thread by an event.
  while (Atomics.load(gate, ENTERED) === 0);
  aborter.abort();
  await spinning;
  await reasonOf(pool.run('exit', { name: 'die' }));
  const ids = [await pool.run(undefined, { name: 'thread' }), await pool.spawn('thread').join()];
  await pool.close();
  assert.is(exited.length, 5, 'two threads, two in the place of those that died, and one that was spawned');
  assert.is(new Set(exited).size, 5);
  for (const id of ids) assert.ok(exited.includes(id));
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

test('an abort right before close leaves no thread behind', async () => {
  for (let round = 0; round < 5; round++) {
    const pool = newPool({ threads: 2 });
    const gate = newGate();
    const aborter = new AbortController();
    const aborted = reasonOf(pool.run(gate, { name: 'spin', signal: aborter.signal }));
    if (round > 0) await until(() => Atomics.load(gate, ENTERED) === 1);
    aborter.abort();
    await pool.close();
    assert.is(await aborted, aborter.signal.reason);
    assert.is(pool.stats().threads, 0);
  }
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
      pool.run(gate, { name: 'spin', timeout: 200 }), pool.run(1, { name: 'square', timeout: 1e6 }),
    ]).then((all) => console.log(all.map((one) => one.reason?.name ?? one.value).join()));
    pool.spawn('fail', 'type');
    for await (const n of pool.map([1, 2, 3], { name: 'square' })) if (n === 4) break;
    await pool.close();
    console.log('closed', pool.stats().failed);`);
  assert.is(code, 0);
  assert.is(stdout, 'ThreadDiedError,TypeError,TimeoutError,1\nclosed 3\n');
  assert.is(stderr, '');
});

test('what a task prints before the pool closes is printed', async () => {
  const { stdout } = await child(`
    const pool = new Pool(tasks, { threads: 1 });
    await pool.run(5000, { name: 'print' });
    await pool.spawn('print', 5000).join();
    await pool.close();`);
  assert.is(stdout.split('\n').length, 10_001);
});

test.run();
