import { threadId } from 'node:worker_threads';
import { attach, type Shared, share } from '../../lib/memory/handles.ts';
import { Region } from '../../lib/memory/region.ts';
import { Mutex } from '../../lib/sync/mutex.ts';
import { random } from './random.ts';

// What the crews of the memory specs do.

/** Claims and frees pieces of random lengths, each filled with a mark of its own; gives how many it claimed and found full. */
export function churn({ region, rounds }: { region: Region; rounds: number }, index: number): [number, number] {
  const next = random(index + 1);
  const mine: { unit: number; mark: number }[] = [];
  let [claimed, full] = [0, 0];
  for (let round = 0; round < rounds; round++) {
    const unit = region.pieces.claim(1 + next(1500), next(2) === 0);
    if (unit < 0) full++;
    else {
      region.kernel.pieceSeal(unit);
      const mark = 1 + next(254);
      bytesOf(region, unit).fill(mark);
      mine.push({ unit, mark });
      claimed++;
    }
    while (mine.length > (unit < 0 ? 0 : 6)) giveBack(region, mine.splice(next(mine.length), 1)[0] as (typeof mine)[0]);
  }
  for (const piece of mine) giveBack(region, piece);
  return [claimed, full];
}

function bytesOf(region: Region, unit: number): Buffer {
  const from = region.kernel.pieceAt(unit);
  return region.buffer.subarray(from, region.kernel.pieceAt(unit + region.kernel.pieceUnits(unit)));
}

function giveBack(region: Region, { unit, mark }: { unit: number; mark: number }): void {
  const foreign = bytesOf(region, unit).findIndex((byte) => byte !== mark);
  if (foreign >= 0) throw new Error(`somebody else wrote to byte ${foreign} of the piece at ${unit}`);
  region.pieces.release(unit);
}

/** Claims pieces that must be zero, and leaves them full of ones. */
export function zeroed({ region, rounds }: { region: Region; rounds: number }, index: number): number {
  const next = random(index + 1);
  for (let round = 0; round < rounds; round++) {
    const unit = region.pieces.claim(1 + next(2000), true);
    if (unit < 0) throw new Error('the region is large enough for this');
    region.kernel.pieceSeal(unit);
    const bytes = bytesOf(region, unit);
    if (bytes.some((byte) => byte !== 0)) throw new Error(`the piece at ${unit} is not zero`);
    bytes.fill(0xff);
    region.pieces.release(unit);
  }
  return rounds;
}

/** Makes locks that all threads get to know, uses them, and frees them. */
export function manyLocks({ region, rounds }: { region: Region; rounds: number }): number[] {
  const serials: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const mutex = new Mutex({ region, name: `${threadId}` });
    serials.push(mutex.serial);
    if (mutex.with(() => mutex.name) !== `${threadId}`) throw new Error('another object in its place');
    mutex.free();
  }
  return serials;
}

export function slotOf({ region }: { region: Region }): number {
  return region.slot;
}

export function count({ mutex, cell, rounds }: { mutex: Mutex; cell: Int32Array; rounds: number }): number {
  for (let round = 0; round < rounds; round++) mutex.with(() => (cell[0] = (cell[0] ?? 0) + 1));
  return mutex.region.slot;
}

export function exitEarly({ region }: { region: Region }): never {
  region.array(Uint8Array, 1);
  process.exit(0);
}

export function throwEarly({ region }: { region: Region }): never {
  throw new RangeError(`from slot ${region.slot}`);
}

/** Whether the first region that was attached is this thread's, and is the same object each time. */
export function currentRegion({ first, second }: { first: Region; second: Region }): boolean[] {
  const again = attach(share(first) as Shared<Region>);
  return [Region.current === first, Region.current === second, again === first, new Mutex().region === first];
}

/** Sets element 0 of each, and gives what it found there. */
export function visit({ arrays }: { arrays: Int32Array[] }, index: number): number[] {
  return arrays.map((array) => {
    const found = array[index] ?? -1;
    array[index] = 100 + index;
    return found;
  });
}
