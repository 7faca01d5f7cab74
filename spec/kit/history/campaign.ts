import { checked, type History } from './record.ts';

// Many recordings, and what they came to.

export interface Sum {
  histories: number;
  operations: number;
  /** Operations that were under way together with one of another lane. */
  overlapping: number;
  /** Calls and returns that came next after one of another lane. */
  turns: number;
  /** Returns after which more than one order was possible. */
  ambiguous: number;
  /** Tries that failed, and waits whose time ran out. */
  refused: number;
}

export function newSum(): Sum {
  return { histories: 0, operations: 0, overlapping: 0, turns: 0, ambiguous: 0, refused: 0 };
}

/** Operations of a recording at the least: several threads share them, and none of them may be left with nothing. */
const LEAST = 1000;

/** Records until there are so many operations, and checks each history. Throws what is wrong with one. */
export async function campaign(
  record: (operations: number, seed: number) => Promise<History[]>,
  { operations, seed, at = 50_000 }: { operations: number; seed: number; at?: number },
  told: (sum: Sum) => void = () => {},
): Promise<Sum> {
  const sum = newSum();
  for (let turn = 0; sum.operations < operations; turn++) {
    const wanted = Math.min(at, Math.max(LEAST, Math.ceil((operations - sum.operations) * 1.1)));
    const recording = await record(wanted, seed + 1000 * turn);
    for (const history of recording) add(sum, history);
    told(sum);
  }
  return sum;
}

function add(sum: Sum, history: History): void {
  const { operations, overlapping, turns, ambiguous } = checked(history);
  sum.histories++;
  sum.operations += operations;
  sum.overlapping += overlapping;
  sum.turns += turns;
  sum.ambiguous += ambiguous;
  sum.refused += history.operations.filter(({ outcome }) => outcome !== undefined && outcome < 0).length;
}

export function described({ histories, operations, overlapping, turns, ambiguous, refused }: Sum): string {
  const share = (n: number): string => `${((100 * n) / operations).toFixed(0)} %`;
  return [
    `${operations.toLocaleString('en')} operations in ${histories} histories`,
    `${share(overlapping)} overlapping`,
    `${share(turns / 2)} of the steps by another thread than the one before`,
    `${ambiguous.toLocaleString('en')} times several orders possible`,
    `${refused.toLocaleString('en')} refused`,
  ].join(', ');
}
