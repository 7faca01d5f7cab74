import { Neighbours } from './neighbours.ts';
import {
  type Effort,
  FULL,
  type Outcome,
  quantile,
  type Rival,
  type Row,
  type Scenario,
  Unavailable,
} from './scenario.ts';

/** How many rounds `rival` has, if `judged` are the names of those that targets are about. */
export function roundsOf(rival: Rival, scenario: Scenario, effort: Effort, judged: ReadonlySet<string>): number {
  const step = Number(judged.has(rival.name)) - Number(rival.costly ?? false);
  const most = step > 0 ? effort.judged : step === 0 ? effort.others : effort.costly;
  return Math.min(scenario.rounds, most);
}

/** A rival on its way through the rounds. */
interface Entry {
  readonly rival: Rival;
  readonly rounds: number;
  readonly figures: number[];
  absent: string;
}

/**
 * Runs every rival of `scenario`, interleaved (A B C, A B C, ...), so that what disturbs the machine disturbs them alike
 * and a ratio can be taken round by round. Those that are `judged` come first in each turn, next to each other. `tick` is
 * called after each round of each rival.
 *
 * Whoever fails becomes a row that says why; but not the first, which is ours: its error ends the run.
 */
export async function measure(
  scenario: Scenario,
  tick: () => void,
  effort: Effort = FULL,
  judged: ReadonlySet<string> = new Set(),
): Promise<Outcome> {
  const neighbours = new Neighbours();
  const entries = scenario.rivals.map((rival): Entry => {
    return { rival, rounds: roundsOf(rival, scenario, effort, judged), figures: [], absent: '' };
  });
  const inTurn = entries.toSorted((a, b) => Number(judged.has(b.rival.name)) - Number(judged.has(a.rival.name)));
  const attempt = async (entry: Entry, what: () => unknown) => {
    try {
      await what();
    } catch (error) {
      if (!(error instanceof Error) || (entry === entries[0] && !(error instanceof Unavailable))) throw error;
      entry.absent = error instanceof Unavailable ? error.message : `it failed: ${error.message.split('\n')[0]}`;
    }
  };
  try {
    const outsidersFirst = entries.toSorted((a, b) => elsewhere(b) - elsewhere(a)); // after a fork all memory faults anew
    for (const entry of outsidersFirst) await attempt(entry, () => entry.rival.start(effort));
    for (let round = 0; round < scenario.rounds; round++) {
      for (const entry of inTurn) {
        if (round >= entry.rounds) continue;
        if (!entry.absent)
          await attempt(entry, async () => entry.figures.push(figure(await watched(entry.rival, neighbours))));
        tick();
      }
    }
    const rows = entries.map(({ rival, figures, absent }) => row(rival, figures, absent));
    return { rows, others: neighbours.cores };
  } finally {
    for (const { rival } of entries) await rival.stop();
  }
}

/** `value`, if it can be compared with others. */
function figure(value: number): number {
  if (!Number.isFinite(value)) throw new Error(`a round came to ${value}`);
  return value;
}

const elsewhere = ({ rival }: Entry): number => Number(rival.elsewhere ?? false);

async function watched(rival: Rival, neighbours: Neighbours): Promise<number> {
  if (rival.elsewhere) return rival.round();
  neighbours.start();
  try {
    return await rival.round();
  } finally {
    neighbours.stop();
  }
}

function row(rival: Rival, figures: readonly number[], absent: string): Row {
  const { name } = rival;
  if (absent) return { name, figures: [], remark: '', absent };
  const samples = rival.samples?.();
  return {
    name,
    figures,
    remark: rival.remark?.() ?? '',
    ...(rival.reference && { reference: true }),
    ...(samples?.length && { percentiles: SHARES.map((share) => [share, quantile(samples, share)] as const) }),
  };
}

/** The shares of a latency curve: as many from 90 % to 99 % as from 99 % to 99.9 %. */
const SHARES = [0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1];
