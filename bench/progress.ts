import os from 'node:os';
import { SingleBar } from 'cli-progress';
import { measure, roundsOf } from './measure.ts';
import type { Measured } from './results.ts';
import { type Effort, type Outcome, type Scenario, titleOf } from './scenario.ts';

/** Measures `scenario`. Progress goes to stderr: a bar on a terminal, one line a scenario elsewhere. */
export async function measured(
  scenario: Scenario,
  place: string,
  effort: Effort,
  judged: ReadonlySet<string>,
): Promise<Measured> {
  const { rounds: _, rivals, slow: __, ...question } = scenario;
  const load = os.loadavg()[0] ?? 0;
  const title = `${place} ${titleOf(scenario)}`;
  const rounds = rivals.reduce((sum, rival) => sum + roundsOf(rival, scenario, effort, judged), 0);
  if (process.stderr.isTTY) {
    return { ...question, load, ...(await withBar(title, rounds, (tick) => measure(scenario, tick, effort, judged))) };
  }
  const seconds = (performance.now() / 1000).toFixed(0);
  console.error(`${seconds} s: measuring ${title}, ${rivals.length} rivals, ${rounds} rounds in all`);
  return { ...question, load, ...(await measure(scenario, () => {}, effort, judged)) };
}

async function withBar(title: string, rounds: number, run: (tick: () => void) => Promise<Outcome>): Promise<Outcome> {
  const bar = new SingleBar({ format: '{bar} {value}/{total} {title}', clearOnComplete: true, hideCursor: true });
  const stop = () => bar.stop(); // shows the cursor again
  process.once('exit', stop);
  bar.start(rounds, 0, { title });
  try {
    return await run(() => bar.increment());
  } finally {
    process.off('exit', stop);
    stop();
  }
}
