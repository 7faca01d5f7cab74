import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ClosedError, RingfenceError, TaskError, TimeoutError } from '../lib/memory/errors.ts';
import { pack, unpack } from '../lib/pool/failure.ts';
import { closePools, newPool, reasonOf } from './kit/pools.ts';

test.after.each(closePools);

/** As between two threads. */
function cross(thrown: unknown): unknown {
  return unpack(structuredClone(pack(thrown)));
}

async function failureOf(kind: string): Promise<Error & { code?: string; cause?: Error }> {
  return reasonOf(newPool().run(kind, { name: 'fail' }));
}

test("an error of the user's own class keeps name, message, stack, causes and properties", async () => {
  const error = await failureOf('own');
  assert.instance(error, Error);
  assert.is(`${error}`, 'PriceError: price is negative');
  assert.is(error.code, 'ERR_PRICE');
  assert.equal((error as unknown as { detail: unknown }).detail, { price: -1, currencies: new Set(['EUR']) });
  assert.match(error.stack ?? '', /at failures?\.?.*tasks\.js|at Object\.own .*tasks\.js/);
  assert.instance(error.cause, TypeError);
  assert.is((error.cause as Error & { cause: Error }).cause.message, 'inner');
  assert.equal(Object.keys(error).sort(), ['code', 'detail']);
});

test('an error of the language keeps its class', async () => {
  const error = await failureOf('type');
  assert.instance(error, TypeError);
  assert.is(error.message, 'not that type');
  const both = (await failureOf('aggregate')) as AggregateError;
  assert.instance(both, AggregateError);
  assert.instance(both.errors[0], RangeError);
  assert.is(both.errors[1], 'two');
});

test('an error of the library keeps its class and code', () => {
  for (const thrown of [new TimeoutError('get', 5), new ClosedError('queue a'), new TaskError('no')]) {
    const error = cross(thrown) as RingfenceError;
    assert.instance(error, thrown.constructor);
    assert.instance(error, RingfenceError);
    assert.equal([`${error}`, error.code, error.stack], [`${thrown}`, thrown.code, thrown.stack]);
  }
});

test("a namesake of the library's classes does not become one", () => {
  const error = cross(Object.assign(new Error('of another library'), { name: 'TimeoutError' })) as Error;
  assert.not.instance(error, TimeoutError);
  assert.is(`${error}`, 'TimeoutError: of another library');
});

test('an error with a function in it loses the function only', async () => {
  const error = await failureOf('withFunction');
  assert.is(`${error}`, 'Error: with a function');
  assert.is(error.code, 'ERR_KEPT');
  assert.not('run' in error);
});

test('a system error keeps code and path', async () => {
  const error = (await failureOf('system')) as NodeJS.ErrnoException;
  assert.equal([error.code, error.errno, error.path], ['ENOENT', -2, '/none']);
});

test('an error that is its own cause arrives', async () => {
  assert.is((await failureOf('circular')).cause, '[Circular]');
});

test('an abort keeps its name', async () => {
  const error = await failureOf('abort');
  assert.is(error.name, 'AbortError');
  assert.is(error.message, 'stopped');
});

test('what is thrown and is no error arrives as it is', async () => {
  assert.is(await failureOf('string'), 'just words');
  assert.is(await failureOf('nothing'), undefined);
  assert.equal(await failureOf('object'), { failure: 'an object of the user' });
});

test('what is thrown and cannot be cloned arrives as TaskError', async () => {
  const error = await failureOf('function');
  assert.instance(error, TaskError);
  assert.match(error.message, /^the task threw what cannot be cloned: \[Function/);
  assert.is(error.cause?.name, 'DataCloneError');
});

test('a thread goes on after each failure', async () => {
  const pool = newPool();
  const id = await pool.run(undefined, { name: 'thread' });
  for (const kind of ['own', 'aggregate', 'withFunction', 'string', 'nothing', 'function']) {
    await reasonOf(pool.run(kind, { name: 'fail' }));
  }
  assert.is(await pool.run(undefined, { name: 'thread' }), id);
});

test.run();
