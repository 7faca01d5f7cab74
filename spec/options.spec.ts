import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Pool } from '../lib/pool/pool.ts';
import { closePools, tasks } from './kit/pools.ts';

test.after.each(closePools);

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

test.run();
