import { FREE, REGION_UNITS } from '../../lib/kernel/layout.ts';
import { Region, type RegionOptions } from '../../lib/memory/region.ts';

/** A small region. */
export function newRegion(options: RegionOptions = {}): Region {
  return new Region({ bytes: 256 * 1024, threads: 8, ...options });
}

export interface Piece {
  unit: number;
  units: number;
  state: number;
}

/** Every piece in its order; throws where they do not cover the region exactly. */
export function pieces({ kernel, i32 }: Region): Piece[] {
  const all = i32[REGION_UNITS >> 2] ?? 0;
  const found: Piece[] = [];
  let unit = 0;
  while (unit < all) {
    const units = kernel.pieceUnits(unit);
    if (units < 1) throw new Error(`the walk over the pieces stops at unit ${unit} of ${all}`);
    found.push({ unit, units, state: kernel.pieceState(unit) });
    unit += units;
  }
  if (unit !== all) throw new Error(`the pieces cover ${unit} units of ${all}`);
  return found;
}

/** Units that nobody uses. */
export function freeUnits(region: Region): number {
  return pieces(region).reduce((sum, { units, state }) => (state === FREE ? sum + units : sum), 0);
}
