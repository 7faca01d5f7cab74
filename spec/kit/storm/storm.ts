import { Region } from '../../../lib/memory/region.ts';
import { type Campaign, campaigns } from './campaigns.ts';
import { newTally, type Tally } from './crew.ts';

export interface StormOptions {
  readonly kills: number;
  readonly seed: number;
  /** Begins no further campaign then. */
  readonly seconds?: number;
  readonly names?: readonly string[];
  /** How many campaigns run at the same time, each in a region of its own. */
  readonly lanes?: number;
  readonly hasty?: boolean;
  readonly say?: (line: string) => void;
  /** Called after each campaign. */
  readonly onRound?: (tally: Tally) => void;
}

const KILLS = 24; // in one campaign: the queues' numbers would go out otherwise

/** One campaign after the other, in several lanes, until so many threads were killed. Throws at the first wedge. */
export async function storm(options: StormOptions): Promise<Tally> {
  const { kills, seed, seconds = Infinity, names = Object.keys(campaigns), lanes = 2, hasty = false } = options;
  const tally = newTally(hasty);
  const end = performance.now() + 1000 * seconds;
  let round = 0;
  const lane = async () => {
    const region = new Region({ bytes: 2 ** 22, threads: 16 });
    while (tally.kills < kills && performance.now() < end) {
      const name = names[round % names.length] as string;
      await run(name, region, Math.min(KILLS, kills - tally.kills), seed + round++, tally, options);
      options.onRound?.(tally);
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, names.length) }, lane));
  return tally;
}

async function run(
  name: string,
  region: Region,
  kills: number,
  seed: number,
  tally: Tally,
  { say }: StormOptions,
): Promise<void> {
  const what = `${name}, seed ${seed}`;
  const { used } = region;
  try {
    await (campaigns[name] as Campaign)(region, kills, seed, tally);
    const { length } = region.inspect().threads;
    if (region.used !== used) throw new Error(`${region.used - used} bytes are not freed`);
    if (length !== 1) throw new Error(`${length - 1} slots are not free`);
  } catch (error) {
    throw new Error(what, { cause: error });
  }
  say?.(`${what}: ${tally.kills} kills in all`);
}

/** What a storm has shown, in lines. */
export function summary({ kills, by, repairs, lost, duplicates, taken, returned }: Tally, seconds: number): string[] {
  const sorted = repairs.toSorted((one, other) => one - other);
  const at = (part: number): string => `${(sorted[Math.floor(part * (sorted.length - 1))] ?? 0).toFixed(1)} ms`;
  const ways = Object.entries(by).map(([way, n]) => `${n} ${way}`);
  return [
    `${kills} kills (${ways.join(', ')}) in ${seconds.toFixed(0)} s, ${(kills / seconds).toFixed(1)} a second`,
    `0 wedges, ${lost} lost, ${duplicates} duplicates; ${taken} taken by dead threads, ${returned} redelivered`,
    `repair after the exit event: median ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)}`,
  ];
}
