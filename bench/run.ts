/** `npm run bench`: measures, prints a table for each scenario and what became of each target, and writes a report. */
import { fileURLToPath } from 'node:url';
import { measureAgain } from './again.ts';
import { nodeOf, runOn } from './node-versions.ts';
import { Misuse, type Options, parse, USAGE } from './options.ts';
import { measured } from './progress.ts';
import { CHARTS, writeReadmeCharts } from './readme.ts';
import { REPORT, writeReport } from './report.ts';
import { fileFor, load, type Measured, machine, type Results, save } from './results.ts';
import { FULL, QUICK, type Scenario, titleOf } from './scenario.ts';
import { scenarios } from './scenarios.ts';
import { text } from './tables.ts';
import { judge, missed, namesOf, targets, type Verdict } from './targets.ts';

async function main(options: Options): Promise<void> {
  if (options.help) return console.log(USAGE);
  if (options.node !== undefined) return elsewhere(options.node);
  const all = options.only.source === '(?:)';
  const named = scenarios.filter(({ name }) => options.only.test(name));
  const chosen = named.filter(({ slow }) => !(slow && all && options.quick));
  if (options.list) return console.log(chosen.map(({ name }) => name).join('\n'));
  if (chosen.length === 0) throw new Misuse(`no scenario matches ${options.only}; npm run bench -- --list names them`);

  const baseline = options.baseline === undefined ? undefined : load(options.baseline);
  const show = (scenario: Measured, { machine }: Pick<Results, 'machine'>): void => {
    if (!options.json) console.log(text(scenario, machine, baseline));
  };
  const results = options.from === undefined ? await measureAll(chosen, options, show) : again(options.from, show);
  const verdicts = judge(results, targets());
  conclude(results, verdicts, options);
  if (options.from === undefined && all) keep(results);
  if (chosen.length < named.length) {
    console.error(
      `left out by --quick: ${named.flatMap((each) => (chosen.includes(each) ? [] : titleOf(each))).join('; ')}`,
    );
  }
  if (options.charts) {
    writeReadmeCharts(results);
    console.error(`the charts of the README are in ${CHARTS}`);
  }
  writeReport(results, verdicts);
  console.error(`the report is in ${REPORT}`);
}

/** The same command, without its `--node`, on that Node. */
async function elsewhere(version: string): Promise<void> {
  const rest = process.argv.slice(2).filter((arg, at, all) => !arg.startsWith('--node') && all[at - 1] !== '--node');
  process.exitCode = await runOn(await nodeOf(version), [fileURLToPath(import.meta.url), ...rest]);
}

async function measureAll(
  chosen: readonly Scenario[],
  { quick, check }: Options,
  show: (scenario: Measured, results: Pick<Results, 'machine'>) => void,
): Promise<Results> {
  const about = {
    format: 1,
    date: new Date().toISOString(),
    command: ['npm run bench', ...process.argv.slice(2)].join(' ').replace('bench ', 'bench -- '),
    quick,
    machine: machine(),
  } as const;
  const effort = quick ? QUICK : FULL;
  const done: Measured[] = [];
  for (const scenario of chosen) {
    const judged = new Set(
      targets().flatMap((target) => (target.scenario === titleOf(scenario) ? [...namesOf(target)] : [])),
    );
    const result = await measured(scenario, `${done.length + 1}/${chosen.length}`, effort, judged);
    done.push(result);
    show(result, about);
  }
  const first = { ...about, scenarios: done };
  const again = check ? await measureAgain(missed(first, targets()), chosen, effort) : [];
  return again.length > 0 ? { ...first, again } : first;
}

/** An earlier result, as if it had been measured now. */
function again(file: string, show: (scenario: Measured, results: Results) => void): Results {
  const results = load(file);
  for (const scenario of results.scenarios) show(scenario, results);
  return results;
}

function conclude(results: Results, verdicts: readonly Verdict[], { json, check }: Options): void {
  if (json) console.log(JSON.stringify(results));
  else if (verdicts.length > 0) {
    console.log(`\nTargets\n${verdicts.map(({ state, text }) => `${state.padEnd(12)}  ${text}`).join('\n')}`);
  }
  if (check && verdicts.some(({ state }) => state === 'missed')) process.exitCode = 1;
}

function keep(results: Results): void {
  const file = fileFor(results);
  save(results, file);
  console.error(`\nkept in ${file}`);
}

try {
  await main(parse(process.argv.slice(2)));
} catch (error) {
  console.error(error instanceof Misuse ? error.message : error);
  process.exitCode = 1;
}
