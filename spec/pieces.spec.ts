import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FREE, HELD, NO_PIECE, PIECES_MOVE, REGION_HIGH, REGION_TABLE_AT, UNIT, USED } from '../lib/kernel/layout.ts';
import type { Region } from '../lib/memory/region.ts';
import { newRegion, type Piece, pieces } from './kit/regions.ts';

const OTHER = 1; // a slot that nobody uses

test('a new region is one free piece', () => {
  const found = pieces(newRegion());
  assert.is(found.length, 1);
  assert.is(found[0]?.state, FREE);
});

test('a claim takes its units from the front of a free piece, held until it is sealed', () => {
  const region = newRegion();
  const { kernel } = region;
  const all = pieces(region)[0]?.units ?? 0;
  assert.is(kernel.pieceClaim(3, OTHER, 1), 0);
  assert.equal(pieces(region), [
    { unit: 0, units: 3, state: HELD + OTHER },
    { unit: 3, units: all - 3, state: FREE },
  ]);
  kernel.pieceSeal(0);
  assert.is(kernel.pieceClaim(1, region.slot, 1), 3);
  kernel.pieceSeal(3);
  assert.equal(pieces(region).slice(0, 2), [
    { unit: 0, units: 3, state: USED },
    { unit: 3, units: 1, state: USED },
  ]);
  assert.is(kernel.pieceAt(3) - kernel.pieceAt(0), 3 * UNIT);
});

test('a piece is freed once: the second time says that there was nothing to free', () => {
  const { kernel } = newRegion();
  kernel.pieceClaim(2, OTHER, 1);
  kernel.pieceSeal(0);
  assert.ok(kernel.pieceFree(0));
  assert.not.ok(kernel.pieceFree(0));
});

test('a claim joins the free pieces behind one another that it needs, and no others', () => {
  const region = newRegion();
  const { kernel } = region;
  const units = claimAll(region, [1, 1, 1, 1, 2]);
  for (const unit of units.slice(0, 3)) kernel.pieceFree(unit);
  assert.is(kernel.pieceClaim(2, OTHER, 1), 0);
  assert.equal(shapes(region).slice(0, 4), ['2 held', '1 free', '1 used', '2 used']);
  assert.is(kernel.pieceUnits(1), 0, 'the tag of a piece that was joined is no tag any more');
});

test('a claim cuts what it does not need of the last piece that it joined', () => {
  const region = newRegion();
  const { kernel } = region;
  const units = claimAll(region, [1, 4, 1]);
  kernel.pieceFree(units[0] ?? -1);
  kernel.pieceFree(units[1] ?? -1);
  assert.is(kernel.pieceClaim(3, OTHER, 1), 0);
  assert.equal(shapes(region).slice(0, 3), ['3 held', '2 free', '1 used']);
});

test('a claim passes free pieces that are too short and leaves them as they are', () => {
  const region = newRegion();
  const { kernel } = region;
  const units = claimAll(region, [2, 1, 2, 1]);
  kernel.pieceFree(units[0] ?? -1);
  kernel.pieceFree(units[2] ?? -1);
  assert.is(kernel.pieceClaim(3, OTHER, 1), 6);
  assert.equal(shapes(region).slice(0, 5), ['2 free', '1 used', '2 free', '1 used', '3 held']);
});

test('a piece is claimed again at its unit, if it is free, and as long as needed or up to a quarter more', () => {
  const region = newRegion();
  const { kernel } = region;
  const [, unit = 0] = claimAll(region, [1, 8, 1]);
  assert.not.ok(kernel.pieceClaimAt(unit, 8, OTHER), 'it is used');
  kernel.pieceFree(unit);
  for (const [at, units] of [
    [unit, 9],
    [unit, 6],
    [unit + 1, 7],
    [unit - 1, 1],
  ] as const) {
    assert.not.ok(kernel.pieceClaimAt(at, units, OTHER), `${units} units at ${at - unit} behind it`);
  }
  region.i32[REGION_HIGH >> 2] = 0; // as if it had been joined to others and never used
  assert.ok(kernel.pieceClaimAt(unit, 7, OTHER));
  assert.is(region.i32[REGION_HIGH >> 2], unit + 8, 'whoever wants it zeroed later must know');
  assert.equal(pieces(region)[1], { unit, units: 8, state: HELD + OTHER });
  assert.not.ok(kernel.pieceClaimAt(unit, 8, region.slot), 'it is held');
  assert.is(kernel.pieceBury(OTHER), 1);
  assert.ok(kernel.pieceClaimAt(unit, 8, region.slot));
});

test('a full region gives -1, and everything again once its pieces are free', () => {
  const region = newRegion();
  const { kernel } = region;
  const all = pieces(region)[0]?.units ?? 0;
  const taken: number[] = [];
  for (let unit = kernel.pieceClaim(7, OTHER, 0); unit >= 0; unit = kernel.pieceClaim(7, OTHER, 0)) taken.push(unit);
  assert.is(taken.length, Math.floor(all / 7));
  assert.is(kernel.pieceClaim(all % 7, OTHER, 0), all - (all % 7), 'the rest is there to the last unit');
  assert.is(kernel.pieceClaim(1, OTHER, 0), -1);
  for (const unit of [...taken, all - (all % 7)]) kernel.pieceSeal(unit);
  for (const unit of taken) kernel.pieceFree(unit);
  kernel.pieceFree(all - (all % 7));
  assert.is(kernel.pieceClaim(all, OTHER, 0), 0);
  assert.is(kernel.pieceClaim(all + 1, OTHER, 0), -1);
});

test('a claimed piece is zeroed where it was used before, if that is asked', () => {
  const region = newRegion();
  const { kernel } = region;
  const [unit = -1] = claimAll(region, [3]);
  const at = kernel.pieceAt(unit);
  region.buffer.fill(0xff, at, at + 3 * UNIT);
  kernel.pieceFree(unit);
  assert.is(kernel.pieceClaim(3, OTHER, 0), unit);
  assert.ok(
    region.buffer.subarray(at, at + 3 * UNIT).every((byte) => byte === 0xff),
    'not asked: left alone',
  );
  kernel.pieceSeal(unit);
  kernel.pieceFree(unit);
  assert.is(kernel.pieceClaim(2, OTHER, 1), unit);
  assert.ok(
    region.buffer.subarray(at, at + 2 * UNIT).every((byte) => byte === 0),
    'asked: every byte of it',
  );
  assert.is(region.buffer[at + 2 * UNIT], 0xff, 'and no byte behind it');
});

test('a piece that reaches beyond what was ever used is zero throughout', () => {
  const region = newRegion();
  const { kernel } = region;
  const [unit = -1] = claimAll(region, [2]);
  const at = kernel.pieceAt(unit);
  region.buffer.fill(0xff, at, at + 2 * UNIT);
  kernel.pieceFree(unit);
  assert.is(kernel.pieceClaim(5, OTHER, 1), unit);
  assert.ok(region.buffer.subarray(at, at + 5 * UNIT).every((byte) => byte === 0));
});

test('whoever frees learns once that a producer waits for space', () => {
  const { kernel } = newRegion();
  assert.not.ok(kernel.spaceWanted());
  kernel.spaceWant();
  assert.ok(kernel.spaceWanted());
  assert.not.ok(kernel.spaceWanted());
});

function claimAll(region: Region, lengths: number[]): number[] {
  return lengths.map((units) => {
    const unit = region.kernel.pieceClaim(units, OTHER, 1);
    region.kernel.pieceSeal(unit);
    return unit;
  });
}

function shapes(region: Region): string[] {
  const word = ({ state }: Piece) => (state === FREE ? 'free' : state === USED ? 'used' : 'held');
  return pieces(region).map((piece) => `${piece.units} ${word(piece)}`);
}

test('while another thread holds a piece, of which a part may come back, full is not the last word', () => {
  const region = newRegion();
  const { kernel } = region;
  const all = pieces(region)[0]?.units ?? 0;
  kernel.pieceClaim(all, OTHER, 0);
  assert.is(kernel.pieceClaim(1, region.slot, 0), PIECES_MOVE);
  assert.is(kernel.pieceClaimPart(1, region.slot), PIECES_MOVE);
  assert.is(kernel.pieceClaim(1, OTHER, 0), NO_PIECE, 'its own piece will not move');
  kernel.pieceSeal(0);
  assert.is(kernel.pieceClaim(1, region.slot, 0), NO_PIECE);
});

test('what a thread that is gone was building goes free, words that it had begun behind the first included', () => {
  const region = newRegion();
  const { kernel, i32 } = region;
  kernel.pieceClaim(5, OTHER, 1);
  kernel.pieceClaim(2, region.slot, 1);
  kernel.pieceClaim(3, OTHER, 1);
  const inside = ((i32[REGION_TABLE_AT >> 2] ?? 0) + 3 * 8) >> 2;
  i32[inside] = 2; // as if it had died when it was about to cut two units off
  i32[inside + 1] = HELD + OTHER;
  assert.is(kernel.pieceBury(OTHER), 2);
  assert.equal(shapes(region).slice(0, 3), ['5 free', '2 held', '3 free']);
  assert.equal([i32[inside], i32[inside + 1]], [0, 0]);
  assert.is(kernel.pieceBury(OTHER), 0);
});

test.run();
