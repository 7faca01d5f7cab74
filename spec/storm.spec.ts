import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { storm, summary } from './kit/storm/storm.ts';

const KILLS = 300;
const SECONDS = 60;

test('threads that are killed in the middle of everything wedge nothing, and nothing is lost or doubled', async () => {
  const start = performance.now();
  const tally = await storm({ kills: KILLS, seed: 1, seconds: SECONDS });
  const seconds = (performance.now() - start) / 1000;
  for (const line of summary(tally, seconds)) console.log(`total: ${line}`);
  assert.equal([tally.lost, tally.duplicates], [0, 0]);
  assert.ok(tally.kills > 0);
});

test.run();
