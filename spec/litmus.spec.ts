import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hammer, told, unlisted } from './kit/litmus/hammer.ts';
import { PROGRAMS } from './kit/litmus/programs.ts';

const RUNS = 6400; // of each program
let runs = 0;

for (const program of PROGRAMS) {
  test(program.name, async () => {
    const tally = await hammer(program, RUNS);
    console.log(`\n${told(program, tally)}`);
    assert.equal(unlisted(program, tally), [], told(program, tally));
    const times = [...tally.values()].reduce((sum, n) => sum + n, 0);
    assert.ok(times >= 3000, `${times} runs`);
    if (Object.keys(program.outcomes).length > 1)
      assert.ok(tally.size > 1, 'they did not always come in the same order');
    runs += times;
  });
}

test('an outcome that is not listed is found, and told', () => {
  const program = { ...PROGRAMS[0]!, name: 'short', outcomes: { '0,1': 'listed' } };
  const tally = new Map([
    ['0,1', 5],
    ['1,1', 2],
  ]);
  assert.equal(unlisted(program, tally), ['1,1']);
  assert.match(told(program, tally), /^short\n {10}5 {2}0,1 {7}listed\n {10}2 {2}1,1 {7}NOT LISTED$/);
});

test('every program says what is legal, and has a name of its own', () => {
  assert.is(new Set(PROGRAMS.map(({ name }) => name)).size, PROGRAMS.length);
  console.log(
    `\ntotal: ${runs.toLocaleString('en')} runs of ${PROGRAMS.length} litmus programs, with listed outcomes only`,
  );
});

test.run();
