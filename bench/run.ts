/**
 * `npm run bench [PATTERN]`: runs the scenarios whose names match PATTERN (a regular expression; all of them without one),
 * prints a table for each, and in the end each target with what was measured.
 */
import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { SingleBar } from 'cli-progress';
import { Table } from 'console-table-printer';
import { locks } from './locks.bench.ts';
import { memory } from './memory.bench.ts';
import { primitives } from './primitives.bench.ts';
import { queues } from './queues.bench.ts';
import { measure, quantile, type Row, ratio, type Scenario, type Target } from './scenario.ts';

const scenarios: readonly Scenario[] = [...locks, ...primitives, ...queues, ...memory];

function git(...args: string[]): string {
  const cwd = fileURLToPath(new URL('.', import.meta.url));
  return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
}

function commit(): string {
  try {
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') && '-dirty');
  } catch {
    return 'unknown';
  }
}

/** The machine, but for its load. */
const machine: string = [
  `${os.cpus()[0]?.model ?? 'unknown CPU'}, ${os.availableParallelism()} cores`,
  `Node ${process.versions.node} (V8 ${process.versions.v8})`,
  `${os.type()} ${os.release()} ${os.arch()}`,
  `commit ${commit()}`,
].join(' | ');

const number = (value: number): string => value.toLocaleString('en-US', { maximumSignificantDigits: 3 });

const middle = (row: Row): number => quantile(row.figures, 0.5);

/** How a row compares with ours, in words: which of the two is better, and how many times. */
function comparison(scenario: Scenario, row: Row, ours: Row): string {
  if (row === ours || ours.absent) return '';
  const times = scenario.better === 'more' ? ratio(row, ours) : ratio(ours, row);
  if (number(times) === '1') return 'the same';
  return times > 1 ? `${number(times)} x better` : `${number(1 / times)} x worse`;
}

/** The rows that have figures, the best first. */
function table(scenario: Scenario, rows: readonly Row[]): string {
  const [ours] = rows;
  const remarks = rows.some((row) => row.remark);
  const sign = scenario.better === 'more' ? -1 : 1;
  const printed = new Table({ shouldDisableColors: true, defaultColumnOptions: { alignment: 'right' } });
  printed.addColumn({ name: 'rival', alignment: 'left' });
  for (const row of rows.filter(({ absent }) => !absent).sort((a, b) => sign * (middle(a) - middle(b)))) {
    printed.addRow({
      rival: row.name,
      [scenario.unit]: number(middle(row)),
      'middle half of the rounds': [0.25, 0.75].map((at) => number(quantile(row.figures, at))).join(' to '),
      ...(scenario.compare && ours && { [`against ${ours.name}`]: comparison(scenario, row, ours) }),
      ...(remarks && { remark: row.remark }),
    });
  }
  return printed.render();
}

/** One line a target: met, missed, or not measured because a rival was absent. */
function verdict(scenario: Scenario, target: Target, rows: readonly Row[]): string {
  const find = (name?: string) => rows.find((row) => row.name === name);
  const [subject, against] = [find(target.subject), find(target.against)];
  const limit = target.atMost === undefined ? `at least ${target.atLeast}` : `at most ${target.atMost}`;
  const title = `${scenario.name.split(':')[0]}: ${target.subject}${target.against ? ` / ${target.against}` : ''}`;
  const absent = subject?.absent ?? against?.absent;
  if (!subject || absent) return `absent  ${title} (${limit}): ${absent}`;
  const figure = against ? ratio(subject, against) : middle(subject);
  const met = figure <= (target.atMost ?? Infinity) && figure >= (target.atLeast ?? -Infinity);
  return `${met ? 'met   ' : 'missed'}  ${title} = ${number(figure)}${against ? '' : ` ${scenario.unit}`} (${limit})`;
}

/** Progress goes to stderr: a bar on a terminal, one line a scenario elsewhere. */
async function measured(scenario: Scenario): Promise<Row[]> {
  const total = scenario.rounds * scenario.rivals.length;
  if (!process.stderr.isTTY) {
    console.error(
      `measuring ${scenario.name.split(':')[0]}: ${scenario.rivals.length} rivals, ${scenario.rounds} rounds`,
    );
    return measure(scenario, () => {});
  }
  const bar = new SingleBar({ format: '{bar} {value}/{total} {scenario}', clearOnComplete: true, hideCursor: true });
  bar.start(total, 0, { scenario: scenario.name.split(':')[0] });
  try {
    return await measure(scenario, () => bar.increment());
  } finally {
    bar.stop();
  }
}

async function report(scenario: Scenario): Promise<string[]> {
  const load = number(os.loadavg()[0] ?? 0);
  const rows = await measured(scenario);
  const cores = os.availableParallelism();
  console.log(`\n${scenario.name}\n${scenario.how}\n${machine} | load before it ${load}`);
  if (scenario.threads > cores) console.log(`${scenario.threads} threads on ${cores} cores: they take turns`);
  console.log(table(scenario, rows));
  for (const row of rows) if (row.absent) console.log(`${row.name}: not measured, ${row.absent}`);
  return scenario.targets.map((target) => verdict(scenario, target, rows));
}

const pattern = new RegExp(process.argv[2] ?? '', 'i');
const chosen = scenarios.filter((scenario) => pattern.test(scenario.name));
if (chosen.length === 0) {
  console.error(`no scenario matches ${pattern}; there are:\n${scenarios.map(({ name }) => `  ${name}`).join('\n')}`);
  process.exitCode = 1;
}
const verdicts: string[] = [];
for (const scenario of chosen) verdicts.push(...(await report(scenario)));
if (verdicts.length > 0) console.log(`\nTargets\n${verdicts.join('\n')}`);
