/** Mutants as tests: each must be noticed, after the unchanged kernel was clean under the same searches. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Fault } from './depth-first.ts';
import type { Instrumented } from './instrument.ts';
import { buildMutants, type Mutant } from './mutate.ts';
import type { Plan, Plans } from './plans.ts';
import type { Protocol } from './programs.ts';
import { plansUnder, standard } from './scenarios.ts';
import { explore, type Report } from './search.ts';
import { shippedKernel } from './shipped.ts';
import { inTurn } from './stage.ts';

interface ProtocolMutant {
  readonly name: string;
  readonly by: string;
  readonly protocol: Protocol;
}

type WithReason = { readonly reason: string };

/** Changes that must be noticed, and those that nobody can notice. */
export interface Table {
  readonly mutants: readonly Mutant[];
  readonly protocols: readonly ProtocolMutant[];
  readonly equivalents: readonly (Mutant & WithReason)[];
  readonly equivalentProtocols: readonly (ProtocolMutant & WithReason)[];
  /** Changes of the explorer, and a mutant of the kernel that each of them lets live. */
  readonly faults: readonly (readonly [Fault, string])[];
}

/** The scenarios that are to kill a mutant. */
function plansBy(by: string, { plans, deaths }: Plans = standard): Plan[] {
  const found = [...plans, ...deaths].filter(({ scenario }) => scenario.name.includes(by));
  assert.ok(found.length > 0, `no scenario is called ${by}`);
  return found;
}

/** What the first search that fails says, or the last one. */
function judge(...args: Parameters<typeof search>): Promise<Report> {
  return inTurn(() => search(...args));
}

function search(kernel: Instrumented, plans: readonly Plan[], mutant: number, fault?: Fault): Report {
  let report: Report | undefined;
  for (const { scenario, quick } of plans) {
    report = explore(kernel, scenario, { preemptions: quick, mutant, ...(fault ? { fault } : {}) });
    if (report.verdict === 'failed') return report;
  }
  return report as Report;
}

/** Writes the tests of a table. */
export async function judgeAll(table: Table): Promise<void> {
  const { mutants, protocols, equivalents, equivalentProtocols, faults } = table;
  const builds = await buildMutants([...mutants, ...equivalents]);
  const shipped = shippedKernel();
  let killed = 0;

  async function judgeMutant({ name, by }: Mutant, fault?: Fault): Promise<Report> {
    const build = builds.find(({ numbers }) => numbers.has(name));
    assert.ok(build, name);
    return judge(build.instrumented, plansBy(by), build.numbers.get(name) ?? 0, fault);
  }

  for (const [i, { instrumented, numbers }] of builds.entries()) {
    test(`the kernel that mutants were made of is clean under the searches that kill them (${i + 1})`, async () => {
      const plans = new Set(mutants.filter(({ name }) => numbers.has(name)).flatMap(({ by }) => plansBy(by)));
      for (const plan of plans) {
        const { verdict, failure } = await judge(instrumented, [plan], 0);
        const planned = plan.quick === Number.POSITIVE_INFINITY ? 'exhausted' : 'bounded';
        assert.is(verdict, planned, `${plan.scenario.name}: ${JSON.stringify(failure)}`);
      }
    });
  }

  for (const mutant of mutants) {
    test(`killed: ${mutant.name}`, async () => {
      assert.is((await judgeMutant(mutant)).verdict, 'failed');
      killed++;
    });
  }

  for (const { name, by, protocol } of protocols) {
    test(`killed: ${name}`, async () => {
      assert.is((await judge(shipped, plansBy(by, plansUnder(protocol)), 0)).verdict, 'failed');
      killed++;
    });
  }

  for (const mutant of equivalents) {
    test(`no difference: ${mutant.name}, since ${mutant.reason}`, async () => {
      assert.is.not((await judgeMutant(mutant)).verdict, 'failed');
    });
  }

  for (const { name, by, protocol, reason } of equivalentProtocols) {
    test(`no difference: ${name}, since ${reason}`, async () => {
      assert.is.not((await judge(shipped, plansBy(by, plansUnder(protocol)), 0)).verdict, 'failed');
    });
  }

  for (const [fault, name] of faults) {
    test(`noticed: an explorer that ${fault}`, async () => {
      const mutant = mutants.find((one) => one.name === name);
      assert.ok(mutant);
      assert.is.not((await judgeMutant(mutant, fault)).verdict, 'failed', 'the mutant that it should miss');
      killed++;
    });
  }

  test('all mutants were killed', () => {
    const all = mutants.length + protocols.length + faults.length;
    assert.is(killed, all);
    const same = equivalents.length + equivalentProtocols.length;
    console.log(
      `\ntotal: ${killed} mutants killed of ${all}, ${faults.length} of them of the explorer; ${same} change nothing`,
    );
  });
}
