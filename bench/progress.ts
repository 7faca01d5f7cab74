import os from 'node:os';
import { SingleBar } from 'cli-progress';
import type { Measured } from './results.ts';
import { type Effort, measure, type Outcome, type Scenario, titleOf } from './scenario.ts';

/** Measures `scenario`. Progress goes to stderr: a bar on a terminal, one line a scenario elsewhere. */
export async function measured(scenario: Scenario, place: string, effort: Effort): Promise<Measured> {
  const { rounds: most, rivals, targets: _, slow: __, ...question } = scenario;
  const load = os.loadavg()[0] ?? 0;
  const rounds = Math.min(most, effort.rounds);
  const title = `${place} ${titleOf(scenario)}`;
  if (process.stderr.isTTY) return { ...question, load, ...(await withBar(scenario, title, rounds, effort)) };
  console.error(`measuring ${title}: ${rivals.length} rivals, ${rounds} rounds`);
  return { ...question, load, ...(await measure(scenario, () => {}, effort)) };
}

async function withBar(scenario: Scenario, title: string, rounds: number, effort: Effort): Promise<Outcome> {
  const bar = new SingleBar({ format: '{bar} {value}/{total} {title}', clearOnComplete: true, hideCursor: true });
  bar.start(rounds * scenario.rivals.length, 0, { title });
  try {
    return await measure(scenario, () => bar.increment(), effort);
  } finally {
    bar.stop();
  }
}
