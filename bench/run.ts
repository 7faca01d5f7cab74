/** `npm run bench`: measures, prints a table for each scenario and what became of each target, and writes a report. */
import { fileURLToPath } from 'node:url';
import { measureAgain } from './again.ts';
import { endOnSignals } from './children.ts';
import { nodeOf, runOn } from './node-versions.ts';
import { Misuse, type Options, parse, USAGE } from './options.ts';
import { measured } from './progress.ts';
import { CHARTS, demandCharts, writeReadmeCharts } from './readme.ts';
import { REPORT, writeReport } from './report.ts';
import { demandWritable, fileFor, load, type Machine, type Measured, machine, type Results, save } from './results.ts';
import { FULL, leftOut, QUICK, type Question, quickOf, type Scenario } from './scenario.ts';
import { scenarios } from './scenarios.ts';
import { origin, text } from './tables.ts';
import { about, judge, listed, missed, namesOf, targets } from './targets.ts';

async function main(options: Options): Promise<void> {
  if (options.help) return console.log(USAGE);
  if (options.node !== undefined) return elsewhere(options.node);
  if (options.from !== undefined) return again(load(options.from), options);
  const named = matching(scenarios, options);
  const chosen = options.quick && options.everything ? quickOf(named) : named;
  if (options.list) return console.log(chosen.map(({ name }) => name).join('\n'));
  const show = shower(chosen, machine(), options);
  const results = await measureAll(chosen, options, show);
  if (options.everything) keep(results, fileFor(results));
  conclude(results, options);
  if (chosen !== named) console.error(`left out by --quick: ${leftOut(named)}`);
}

/** The same command, without its `--node`, on that Node. */
async function elsewhere(version: string): Promise<void> {
  const rest = process.argv.slice(2).filter((arg, at, all) => !arg.startsWith('--node') && all[at - 1] !== '--node');
  process.exitCode = await runOn(await nodeOf(version), [fileURLToPath(import.meta.url), ...rest]);
}

/** An earlier result, or those of its scenarios that are asked for, as if it had been measured now. */
function again(all: Results, options: Options): void {
  const chosen = matching(all.scenarios, options);
  const show = shower(chosen, all.machine, options);
  for (const scenario of chosen) show(scenario);
  conclude({ ...all, scenarios: chosen }, options);
}

/** Those whose names the pattern matches. */
function matching<T extends Question>(all: readonly T[], { only }: Options): T[] {
  const found = all.filter(({ name }) => only.test(name));
  if (found.length === 0) throw new Misuse(`no scenario matches ${only}; npm run bench -- --list names them`);
  return found;
}

type Show = (scenario: Measured) => void;

/** What prints a table. Throws now, and not after some minutes, where what is asked for cannot be done in the end. */
function shower(chosen: readonly Question[], machine: Machine, options: Options): Show {
  const { check, charts, file, baseline: before, json, only } = options;
  if (charts) demandCharts(chosen);
  if (check && about(chosen, targets()).length === 0)
    throw new Misuse(`--check has nothing to check: no target of bench/targets.json is about what ${only} matches`);
  if (file !== undefined) demandWritable(file);
  const baseline = before === undefined ? undefined : load(before);
  if (baseline) console.log(origin(baseline, machine));
  return json ? () => {} : (scenario) => console.log(text(scenario, machine, baseline));
}

async function measureAll(chosen: readonly Scenario[], { quick, check }: Options, show: Show): Promise<Results> {
  const head = {
    format: 1,
    date: new Date().toISOString(),
    command: ['npm run bench', ...process.argv.slice(2)].join(' ').replace('bench ', 'bench -- '),
    quick,
    machine: machine(),
  } as const;
  const effort = quick ? QUICK : FULL;
  const done: Measured[] = [];
  for (const scenario of chosen) {
    const judged = new Set(about([scenario], targets()).flatMap((target) => [...namesOf(target)]));
    const result = await measured(scenario, `${done.length + 1}/${chosen.length}`, effort, judged);
    done.push(result);
    show(result);
  }
  const first = { ...head, scenarios: done };
  const again = check ? await measureAgain(missed(first, targets()), chosen, effort) : [];
  return again.length > 0 ? { ...first, again } : first;
}

function conclude(results: Results, { json, check, charts, file }: Options): void {
  const verdicts = judge(results, targets());
  if (file !== undefined) keep(results, file);
  if (json) console.log(JSON.stringify(results));
  else if (verdicts.length > 0) console.log(`\n${listed(verdicts)}`);
  if (check && verdicts.some(({ state }) => state === 'missed')) process.exitCode = 1;
  writeReport(results, verdicts);
  console.error(`the report is in ${REPORT}`);
  if (!charts) return;
  writeReadmeCharts(results);
  console.error(`the charts of the README are in ${CHARTS}`);
}

function keep(results: Results, file: string): void {
  save(results, file);
  console.error(`\nkept in ${file}`);
}

endOnSignals();
try {
  await main(parse(process.argv.slice(2)));
} catch (error) {
  console.error(error instanceof Misuse ? error.message : error);
  process.exitCode = 1;
}
