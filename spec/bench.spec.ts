import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { measureAgain } from '../bench/again.ts';
import { measure } from '../bench/measure.ts';
import { spoken } from '../bench/native.ts';
import { parse } from '../bench/options.ts';
import { CHARTS, demandCharts, readmeCharts } from '../bench/readme.ts';
import { commandFor, demandWritable, fileFor, folder, load, save } from '../bench/results.ts';
import {
  FULL,
  leftOut,
  QUICK,
  quantile,
  quickOf,
  type Rival,
  ratio,
  type Scenario,
  slow,
  titleOf,
  Unavailable,
} from '../bench/scenario.ts';
import { scenarios } from '../bench/scenarios.ts';
import { origin, text } from '../bench/tables.ts';
import { asTarget, judge, missed, type NamedTarget, namesOf, summary, targets } from '../bench/targets.ts';
import { headline, sinceThen } from '../bench/words.ts';
import { resultsOf, row, scenarioOf } from './kit/measured.ts';

// The arithmetic of the benchmarks, and never their figures.

test('a quantile lies between the two figures next to it', () => {
  assert.is(quantile([4, 1, 3, 2], 0.5), 2.5);
  assert.is(quantile([10, 0], 0.25), 2.5);
  assert.is(quantile([7], 0.99), 7);
});

test('a ratio is the median of neighbouring rounds, so that one round that was disturbed on both sides changes nothing', () => {
  assert.is(ratio(row('a', [2, 2000, 2]), row('b', [1, 1000, 1])), 2);
  assert.is(ratio(row('a', [2, 90, 40]), row('b', [1, 30, 10])), 3, 'and not 40 / 10');
});

/** A rival that writes down what is done to it. */
function noting(log: string[], name: string, round: () => number): Rival {
  return {
    name,
    start: () => void log.push(`start ${name}`),
    round: () => {
      log.push(name);
      return round();
    },
    stop: () => void log.push(`stop ${name}`),
  };
}

const question = (rivals: Rival[], rounds = 2): Scenario => ({ ...scenarioOf([]), rounds, rivals });

test('rivals take turns, and all of them are stopped', async () => {
  const log: string[] = [];
  const rivals = ['a', 'b'].map((name) => noting(log, name, () => 1));
  const { rows } = await measure(question(rivals), () => {}, FULL);
  assert.is(log.join(' '), 'start a start b a b a b stop a stop b');
  assert.equal(
    rows.map(({ figures }) => figures),
    [
      [1, 1],
      [1, 1],
    ],
  );
});

test('a quick run has fewer rounds: most for those that a target is about, who also take their turns next to each other', async () => {
  const log: string[] = [];
  const [ours, other, costly, against] = ['ours', 'other', 'costly', 'against'].map((name) =>
    noting(log, name, () => 1),
  );
  const rivals = [ours, other, { ...costly, costly: true }, against] as Rival[];
  const { rows } = await measure(question(rivals, 99), () => {}, QUICK, new Set(['ours', 'against']));
  assert.equal(
    rows.map(({ name, figures }) => [name, figures.length]),
    [
      ['ours', QUICK.judged],
      ['other', QUICK.others],
      ['costly', QUICK.costly],
      ['against', QUICK.judged],
    ],
  );
  assert.match(log.join(' '), /start against ours against other costly ours against/);
});

test('a rival that cannot run, or that fails on its way, is a row that says why', async () => {
  const absent: Rival = {
    ...noting([], 'absent', () => 1),
    start: () => {
      throw new Unavailable('needs Node 24');
    },
  };
  const failing = noting([], 'failing', () => {
    throw new Error('lost an item');
  });
  const { rows } = await measure(question([noting([], 'ours', () => 1), absent, failing]), () => {}, FULL);
  assert.equal(
    rows.map((each) => each.absent),
    [undefined, 'needs Node 24', 'it failed: lost an item'],
  );
  assert.equal(rows[2]?.figures, [], 'half of the rounds are no figure');
});

test('a round that comes to no number is a failure, and no figure', async () => {
  const { rows } = await measure(question([noting([], 'ours', () => 1), noting([], 'b', () => Number.NaN)]), () => {});
  assert.is(rows[1]?.absent, 'it failed: a round came to NaN');
});

test('an error of our own ends the run, and the others are stopped', async () => {
  const log: string[] = [];
  const ours = noting(log, 'ours', () => {
    throw new Error('lost an item');
  });
  let error: unknown;
  await measure(question([ours, noting(log, 'b', () => 1)]), () => {}, FULL).catch((reason) => {
    error = reason;
  });
  assert.match(String(error), 'lost an item');
  assert.ok(log.includes('stop b'));
});

test('single measurements become a curve whose ends are the least and the most', async () => {
  const rival: Rival = { ...noting([], 'a', () => 1), samples: () => [3, 1, 2] };
  const { rows } = await measure(question([rival]), () => {}, FULL);
  assert.equal(rows[0]?.percentiles?.at(0), [0, 1]);
  assert.equal(rows[0]?.percentiles?.at(-1), [1, 3]);
});

const measured = [
  scenarioOf([row('ours', [10, 10]), row('theirs', [20, 5]), row('gone', [], { absent: 'no compiler' })]),
];
const of = (limit: object): NamedTarget => ({ scenario: 'mutex alone', ...limit }) as NamedTarget;
const state = (limit: object): string | undefined => judge({ scenarios: measured }, [of(limit)])[0]?.state;

test('a target is met up to its limit, by a figure or by a ratio', () => {
  assert.is(state({ subject: 'ours', atMost: 10 }), 'met');
  assert.is(state({ subject: 'ours', atMost: 9.99 }), 'missed');
  assert.is(state({ subject: 'ours', against: 'theirs', atLeast: 1.25 }), 'met', 'the median of 0.5 and 2');
  assert.is(state({ subject: 'ours', against: 'theirs', atLeast: 1.26 }), 'missed');
  assert.is(state({ subject: 'ours', against: 'theirs', atLeast: 5, orFigure: 10 }), 'met', 'enough by itself');
  assert.is(state({ subject: 'ours', against: 'theirs', atLeast: 5, orFigure: 11 }), 'missed');
});

test('a target whose rival is absent is not measured; one whose rival does not exist is missed', () => {
  assert.is(state({ subject: 'ours', against: 'gone', atMost: 1 }), 'not measured');
  assert.is(state({ subject: 'ours', against: 'nobody', atMost: 1 }), 'missed');
  assert.equal(judge({ scenarios: measured }, [of({ scenario: 'another one', subject: 'ours', atMost: 1 })]), []);
});

test('a ratio to nothing meets no limit, and what was not measured is counted as not met', () => {
  const still = scenarioOf([row('ours', [10]), row('still', [0]), row('gone', [], { absent: 'no compiler' })]);
  const verdicts = judge({ scenarios: [still] }, [
    of({ subject: 'ours', against: 'still', atLeast: 2 }),
    of({ subject: 'ours', against: 'gone', atLeast: 2 }),
    of({ subject: 'ours', atMost: 10 }),
  ]);
  assert.equal(
    verdicts.map((verdict) => verdict.state),
    ['missed', 'not measured', 'met'],
  );
  assert.is(summary(verdicts), 'Targets: 1 of 3 met, 1 missed, 1 not measured');
});

test('of a target that was measured again the median of all measurements decides, the first one among them', () => {
  const target = of({ subject: 'ours', against: 'theirs', atMost: 0.75 });
  const first = scenarioOf([row('ours', [9]), row('theirs', [10]), row('others', [1])]);
  const alone = (figure: number) => scenarioOf([row('ours', [figure]), row('theirs', [10])]);
  const again = (figures: number[]) => judge({ scenarios: [first], again: figures.map(alone) }, [target])[0];
  assert.is(again([7, 7.4, 7.2])?.state, 'met');
  assert.is(again([7, 7.9, 7.8])?.state, 'missed', 'one good measurement is not enough');
  assert.match(
    again([7, 7.4, 7.2])?.text ?? '',
    '= 0.73, the median of 0.9 and, measured again alone, 0.7, 0.74, 0.72',
  );
  assert.is(again([])?.state, 'missed');
});

test('what was measured again for one target says nothing of another one', () => {
  const first = scenarioOf([row('ours', [9]), row('theirs', [10])]);
  const again = [scenarioOf([row('ours', [1])])];
  assert.is(
    judge({ scenarios: [first], again }, [of({ subject: 'ours', against: 'theirs', atMost: 0.5 })])[0]?.state,
    'missed',
  );
});

test('only targets that seem to be missed are measured again: always as often, and all of them in turns', async () => {
  const scenarios = [
    question(['ours', 'theirs', 'other'].map((name) => noting([], name, () => (name === 'ours' ? 3 : 1)))),
    { ...question([noting([], 'single', () => 5)]), name: 'another one: it is measured too' },
  ];
  const limits = [
    of({ subject: 'ours', against: 'theirs', atMost: 2 }),
    of({ subject: 'ours', against: 'theirs', atMost: 4 }),
    of({ subject: 'ours', against: 'nobody', atMost: 4 }),
    of({ scenario: 'another one', subject: 'single', atMost: 4 }),
  ];
  const first = await Promise.all(
    scenarios.map(async (each) => ({ ...scenarioOf([]), ...each, ...(await measure(each, () => {})) })),
  );
  const seem = missed({ scenarios: first }, limits);
  assert.equal(seem, [limits[0], limits[3]]);
  const again = await measureAgain(seem, scenarios, FULL);
  assert.equal(
    again.map(({ rows }) => rows.map(({ name }) => name).join()),
    ['ours,theirs', 'single', 'ours,theirs', 'single', 'ours,theirs', 'single'],
  );
});

test('every target names a scenario, and rivals that are in it', () => {
  for (const { scenario: title, subject, against } of targets()) {
    const names = scenarios.find((scenario) => titleOf(scenario) === title)?.rivals.map(({ name }) => name);
    assert.ok(names, title);
    for (const name of [subject, against ?? subject]) assert.ok(names?.includes(name), `${title}: ${name}`);
  }
});

test('a quick run of everything measures all that a target is about, and leaves something out', () => {
  const quick = quickOf(scenarios);
  for (const target of targets()) {
    const names = quick.find((scenario) => titleOf(scenario) === target.scenario)?.rivals.map(({ name }) => name) ?? [];
    for (const name of namesOf(target)) assert.ok(names.includes(name), `${target.scenario}: ${name}`);
  }
  assert.ok(quick.length < scenarios.length);
  const [first, ...rest] = scenarios as [Scenario, ...Scenario[]];
  const kept = { ...first, rivals: [noting([], 'kept', () => 1), slow(noting([], 'left', () => 1))] };
  assert.equal(
    quickOf([kept]).flatMap(({ rivals }) => rivals.map(({ name }) => name)),
    ['kept'],
  );
  assert.is(leftOut([kept, { ...(rest[0] as Scenario), slow: true }]), 'of mutex alone left; counter, 1 thread');
});

test('a target whose limit is misspelt, or is none, is refused: it would always be met', () => {
  const whole = { scenario: 'mutex alone', subject: 'ours', atMost: 1 };
  assert.equal(asTarget(whole), whole);
  assert.throws(() => asTarget({ ...whole, atmost: 1 }), /atmost: 1/);
  assert.throws(() => asTarget({ ...whole, atMost: '1' }), /atMost: 1/);
  assert.throws(() => asTarget({ ...whole, atLeast: 2 }), /atMost or atLeast/);
  assert.throws(() => asTarget({ scenario: 'mutex alone', subject: 'ours' }), /atMost or atLeast/);
  assert.throws(() => asTarget({ subject: 'ours', atMost: 1 }), /has a scenario/);
});

test('every scenario has a title of its own, a hypothesis, and rivals of different names', () => {
  assert.is(new Set(scenarios.map(titleOf)).size, scenarios.length);
  for (const { name, rivals } of scenarios) {
    assert.match(name, /^[^:]+: .+/);
    assert.is(new Set(rivals.map((rival) => rival.name)).size, rivals.length, name);
  }
});

test('the command of a figure measures its scenarios and no others', () => {
  const measuredBy = (...chosen: Scenario[]): readonly string[] => {
    const [, pattern = ''] = /--only '(.*)'$/.exec(commandFor(...chosen)) ?? [];
    return scenarios.filter(({ name }) => parse([pattern]).only.test(name)).map(titleOf);
  };
  for (const scenario of scenarios) assert.equal(measuredBy(scenario), [titleOf(scenario)]);
  const curve = scenarios.filter(({ scaling }) => scaling?.curve === 'queue of i32');
  assert.ok(curve.length > 1);
  assert.equal(measuredBy(...curve), curve.map(titleOf));
});

test('whoever is first is said first, and best stands on top', () => {
  const beaten = scenarioOf([row('ours', [30]), row('theirs', [10])]);
  assert.is(headline(beaten), 'First: theirs. ours is 3 x worse.');
  assert.is(headline(scenarioOf([row('ours', [10]), row('theirs', [20])])), 'First: ours, 2 x better than theirs.');
  const printed = text(beaten, resultsOf([beaten]).machine);
  assert.ok(printed.indexOf('│ theirs') < printed.indexOf('│ ours'), printed);
});

test('more is better where the scenario says so', () => {
  const throughput = scenarioOf([row('ours', [30]), row('theirs', [10])], { better: 'more' });
  assert.is(headline(throughput), 'First: ours, 3 x better than theirs.');
});

test('a table says that threads take turns, and that others used the machine', () => {
  const crowd = scenarioOf([row('ours', [1])], { threads: 8, others: 0.72 });
  const printed = text(crowd, resultsOf([crowd]).machine);
  assert.match(printed, '8 threads on 2 cores: they take turns');
  assert.match(printed, 'other programs used 0.7 of 2 cores meanwhile');
  assert.match(printed, 'abc1234');
});

test('a table fits into a narrow terminal', () => {
  const long = 'postMessage, receiveMessageOnPort in a loop';
  const latency = scenarioOf([row('ringfence Queue', [30, 31], { percentiles: [[0.99, 1234]] }), row(long, [10, 12])]);
  const widest = (columns: number) => {
    const lines = text(latency, resultsOf([latency]).machine, undefined, columns).split('\n');
    return Math.max(...lines.filter((line) => /[│┌]/.test(line)).map(({ length }) => length));
  };
  assert.ok(widest(Infinity) > 100);
  for (const columns of [60, 80, 100]) assert.ok(widest(columns) <= columns, `${widest(columns)} of ${columns}`);
  assert.match(
    text(latency, resultsOf([latency]).machine, undefined, 60),
    /receiveMessage/,
    'names are broken, not cut',
  );
});

test('a program in another language is asked in lines and answers in lines, and one that is not there is a row', async () => {
  const echo =
    "require('node:readline').createInterface(process.stdin).on('line', (line) => console.log(line.split('\\t')[1] ?? 0))";
  const rivals = [
    spoken('ours', [process.execPath, '-e', echo], ['twice', '21']),
    spoken('b', ['no-such-program'], ['twice']),
  ];
  const { rows } = await measure(question(rivals), () => {}, FULL);
  assert.equal(rows[0]?.figures, [21, 21]);
  assert.match(rows[1]?.absent ?? '', /no-such-program is not there/);
});

test('a figure is compared with its like in an earlier result', () => {
  const then = resultsOf([scenarioOf([row('ours', [20])])]);
  const now = scenarioOf([row('ours', [10]), row('theirs', [5])]);
  assert.is(sinceThen(now, row('ours', [10]), then), '2 x');
  assert.is(sinceThen(now, row('theirs', [5]), then), 'new');
});

const within = mkdtempSync(join(tmpdir(), 'ringfence-spec-'));
test.after(() => rmSync(within, { recursive: true }));

test('results come back from their file, which is named by the day, the processor and Node', () => {
  const results = resultsOf(measured);
  const file = join(within, 'results', 'a.json');
  save(results, file);
  assert.equal(load(file), results);
  assert.match(fileFor(results), /2026-11-24-amd-epyc-1-node20-quick\.json$/);
});

test('a file that holds no results is refused by name', () => {
  const file = join(within, 'other.json');
  writeFileSync(file, '{}');
  assert.throws(() => load(file), /other\.json holds no results/);
  assert.throws(() => load(join(within, 'none.json')), /none\.json cannot be read/);
  const whole = resultsOf(measured);
  const refused = (json: string, pattern: RegExp) => {
    writeFileSync(file, json);
    assert.throws(() => load(file), pattern, json.slice(0, 80));
  };
  refused(JSON.stringify(whole).slice(0, -20), /other\.json cannot be read/);
  const lacking = /other\.json holds results of format 1 of which something is missing/;
  refused(JSON.stringify({ ...whole, machine: undefined }), lacking);
  refused(JSON.stringify({ ...whole, scenarios: [{ ...whole.scenarios[0], rows: undefined }] }), lacking);
  refused(JSON.stringify({ ...whole, scenarios: [{ ...whole.scenarios[0], rows: [{ name: 'ours' }] }] }), lacking);
  refused(JSON.stringify({ ...whole, scenarios: [null] }), lacking);
});

test('a place where no results can be kept is refused before anything is measured', () => {
  const file = join(within, 'a file');
  writeFileSync(file, '');
  assert.throws(() => demandWritable(join(file, 'a.json')), /no results can be kept in .*a\.json/);
  demandWritable(join(within, 'new', 'a.json'));
});

test('tables say where the earlier result is from that they compare with, and that it was another machine', () => {
  const { machine, ...results } = resultsOf(measured);
  assert.is(
    origin({ ...results, machine }, machine).split('\n').length,
    1,
    'the same machine, and the same commit or another one',
  );
  const said = origin({ ...results, machine }, { ...machine, cpu: 'another CPU' });
  assert.match(said, /^then: 2026-11-24, a quick run, AMD EPYC/);
  assert.match(said, 'that was another machine (this one is another CPU, 2 cores');
});

test('charts of the README that the scenarios are not there for are refused by their names', () => {
  assert.throws(() => demandCharts(scenarios.slice(0, 1)), /need also queue of i32, one at a time and tasks, trivial/);
  demandCharts(quickOf(scenarios));
});

test('options that cannot be say what was wrong', () => {
  assert.throws(() => parse(['--quik']), /--quik/);
  assert.throws(() => parse(['(']), /PATTERN must be a regular expression/);
  assert.throws(() => parse(['a', 'b']), /"b" as well/);
  assert.ok(parse(['--only', 'MUTEX']).only.test('mutex alone'));
  assert.ok(parse(['MUTEX', '--quick']).quick);
  assert.throws(() => parse(['a', '--only', 'b']), /"a" as well/);
  assert.throws(() => parse(['--from', 'a.json', '--quick']), /--quick is about what would be measured/);
  assert.throws(() => parse(['--json', '--baseline', 'a.json']), /give it a FILE\.json/);
});

test('--json has a file, or takes the place of the tables', () => {
  const { json, file, only } = parse(['--json', 'a.json', 'mutex']);
  assert.equal([json, file, only.source], [false, 'a.json', 'mutex']);
  assert.equal(parse(['--json', 'mutex']).json, true);
  assert.equal(parse(['--json', 'mutex']).only.source, 'mutex');
  assert.not.ok(parse(['--json', 'a.json', '--baseline', 'b.json']).json);
});

test('the charts of the README are those of a result file that is in the repository', () => {
  const shown = Object.fromEntries(readdirSync(CHARTS).map((name) => [name, readFileSync(join(CHARTS, name), 'utf8')]));
  const files = readdirSync(`${folder}results`).map((name) => load(`${folder}results/${name}`));
  const drawn = files.map((results) => JSON.stringify(readmeCharts(results)));
  assert.ok(drawn.includes(JSON.stringify({ 'queue.svg': '', 'mutex.svg': '', 'tasks.svg': '', ...shown })));
});

test.run();
