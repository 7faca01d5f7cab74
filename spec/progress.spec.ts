import { spawnSync } from 'node:child_process';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { WorkerModule } from '../lib/pipeline/options.ts';
import { pipeline } from '../lib/pipeline/pipeline.ts';
import { showProgress } from '../lib/pipeline/progress.ts';
import { leavesNothing } from './kit/leftovers.ts';
import { reasonOf } from './kit/pools.ts';

const work = new URL('./kit/staging.js', import.meta.url) as WorkerModule<typeof import('./kit/staging.ts')>;
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const SHOW_CURSOR = '\x1b[?25h';

/** What a terminal, or a pipe, got. */
function written(isTTY: boolean): { stream: NodeJS.WriteStream; text(): string } {
  let text = '';
  const stream = new Writable({
    write(chunk, _, done) {
      text += chunk;
      done();
    },
  });
  return { stream: Object.assign(stream, { isTTY, columns: 100 }) as unknown as NodeJS.WriteStream, text: () => text };
}

leavesNothing(test);

test('on a terminal a bar counts the records, names the slowest stage, and is gone at the end', async () => {
  const { stream, text } = written(true);
  const line = pipeline(upTo(200), { interval: 10 }).map(work, 'uneven').filter(work, 'isOdd');
  assert.is(showProgress(line, { total: 100, label: 'numbers', stream }), line);
  assert.is((await line.toArray()).length, 100);
  const shown = stripVTControlCharacters(text());
  assert.match(shown, /numbers .+ \d+ % \| \d+\/100 \| slowest: uneven/);
  assert.match(shown, '100/100');
  assert.ok(text().endsWith(SHOW_CURSOR) || text().includes(SHOW_CURSOR), 'the cursor is there again');
});

test('without a total it counts; a pipeline that fails takes its bar away, too', async () => {
  const { stream, text } = written(true);
  const line = showProgress(pipeline(upTo(20), { interval: 10 }).map(work, 'refuseThree'), { stream });
  assert.match((await reasonOf(line.toArray())).message, /record 3: RangeError: three/);
  const shown = stripVTControlCharacters(text());
  assert.match(shown, /\d+ \| slowest: /);
  assert.not.match(shown, '%');
  assert.ok(text().includes(SHOW_CURSOR), 'the cursor is there again');
});

test('into a pipe nothing is printed, by whatever stream', async () => {
  const { stream, text } = written(false);
  assert.equal(await showProgress(pipeline(upTo(9)).map(work, 'same'), { stream }).toArray(), upTo(9));
  assert.is(text(), '');
  const barred = fileURLToPath(new URL('./kit/barred.js', import.meta.url));
  const { stdout, stderr, status } = spawnSync(process.execPath, [barred], { encoding: 'utf8', timeout: 60_000 });
  assert.equal([status, stdout, stderr], [0, '9 records\n', '']);
});

test.run();
