// The long form of the exploration: npm run explore -- [PATTERN] [--seconds N] [--runs N] [--seed N] [--replay SCHEDULE]
//                                                      [--quick] [--record]
// PATTERN is a regular expression for the names of scenarios. Each search may take `seconds`, and one that is cut fails, and
// so does one that runs fewer schedules than counts.json says. `--record` accepts what is run now, `--quick` is the form of
// `npm test`.
import process from 'node:process';
import { parseArgs } from 'node:util';
import type { Plan } from './plans.ts';
import { complaint, type Form, record } from './ratchet.ts';
import { standard } from './scenarios.ts';
import { explore, type Report, replay, sample } from './search.ts';
import { shippedKernel } from './shipped.ts';
import { inTurn } from './stage.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '900' },
    runs: { type: 'string', default: '50000' },
    seed: { type: 'string', default: `${Date.now() % 2 ** 31}` },
    replay: { type: 'string' },
    quick: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
  },
});

const form: Form = values.quick ? 'quick' : 'long';
const kernel = shippedKernel();
const pattern = new RegExp(positionals[0] ?? '');
const plans = [...standard.plans, ...standard.deaths].filter(({ scenario }) => pattern.test(scenario.name));
const crowds = standard.crowds.filter(({ name }) => pattern.test(name));
await inTurn(() => (values.replay === undefined ? exploreAll() : showAgain(values.replay)));

function exploreAll(): void {
  const reports = [
    ...plans.map((plan) => told(`${boundOf(plan)}`, () => searched(plan))),
    ...(form === 'quick' ? [] : crowds).map((scenario) => {
      const options = { runs: Number(values.runs), depth: 4, seed: Number(values.seed) };
      return told(`random, seed ${values.seed}`, () => sample(kernel, scenario, options));
    }),
  ];
  const sum = (of: (report: Report) => number): string =>
    reports.reduce((all, one) => all + of(one), 0).toLocaleString('en');
  const bad = reports.filter(({ verdict }) => verdict === 'cut' || verdict === 'failed');
  const searches = reports.slice(0, plans.length);
  const fewer = values.record ? [] : searches.flatMap((report) => complaint(form, report) ?? []);
  for (const text of fewer) console.log(text);
  if (values.record && bad.length === 0) record(form, searches);
  console.log(
    `\n${sum((one) => one.schedules)} schedules, ${sum((one) => one.states)} states, ${bad.length} cut or failed`,
  );
  process.exitCode = bad.length + fewer.length > 0 || reports.length === 0 ? 1 : 0;
}

function searched({ scenario, [form]: preemptions }: Plan): Report {
  return explore(kernel, scenario, { preemptions, time: Number(values.seconds) * 1000 });
}

function boundOf({ [form]: preemptions }: Plan): string {
  return preemptions === Number.POSITIVE_INFINITY ? 'all' : `${preemptions} preemptions`;
}

function told(how: string, search: () => Report): Report {
  const start = performance.now();
  const report = search();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const { name, verdict, schedules, states, failure } = report;
  console.log(`${verdict.padEnd(9)}  ${name}: ${how}, ${schedules} schedules, ${states} states, ${seconds} s`);
  if (failure) console.log(`           ${failure.message}\n           --replay '${failure.schedule}'`);
  return report;
}

/** One schedule of the first scenario that matches, step by step. */
function showAgain(schedule: string): void {
  const scenario = plans[0]?.scenario ?? crowds[0];
  if (!scenario) throw new Error(`no scenario matches ${pattern}`);
  const { trace, message = 'nothing failed' } = replay(kernel, scenario, schedule);
  console.log(`${scenario.name}\n\n${trace.join('\n')}\n\n${message}`);
}
