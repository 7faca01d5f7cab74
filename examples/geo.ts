import { capitals, type Point } from './capitals.ts';

// The ellipsoid WGS 84, on which coordinates are given.
const EQUATOR = 6_378_137; // metres, the radius
const FLATTENING = 1 / 298.257223563;

const DIGITS = '0123456789bcdefghjkmnpqrstuvwxyz';

/** The geohash of a point (Gustavo Niemeyer, 2008): each bit halves the cell, east and north by turns. Nine digits are about 5 m. */
export function geohash({ lat, lng }: Point, length = 9): string {
  let [axis, other] = [
    { at: lng, low: -180, high: 180 },
    { at: lat, low: -90, high: 90 },
  ];
  let hash = '';
  while (hash.length < length) {
    let digit = 0;
    for (let bit = 0; bit < 5; bit++) {
      const middle = (axis.low + axis.high) / 2;
      const upper = axis.at >= middle;
      if (upper) axis.low = middle;
      else axis.high = middle;
      digit = digit * 2 + Number(upper);
      [axis, other] = [other, axis];
    }
    hash += DIGITS[digit];
  }
  return hash;
}

/** The distance in metres on the ellipsoid (Walter D. Lambert, 1942): right to some ten metres over thousands of kilometres. */
export function distance(from: Point, to: Point): number {
  const north = reducedLatitude(from);
  const south = reducedLatitude(to);
  const middle = (north + south) / 2;
  const half = (south - north) / 2;
  const turn = radians(to.lng - from.lng) / 2;
  const haversine = Math.sin(half) ** 2 + Math.cos(north) * Math.cos(south) * Math.sin(turn) ** 2;
  const angle = 2 * Math.asin(Math.min(1, Math.sqrt(haversine)));
  if (haversine === 0 || haversine >= 1) return EQUATOR * angle; // the same point, or the opposite one
  const x = ((angle - Math.sin(angle)) * (Math.sin(middle) * Math.cos(half)) ** 2) / (1 - haversine);
  const y = ((angle + Math.sin(angle)) * (Math.cos(middle) * Math.sin(half)) ** 2) / haversine;
  return EQUATOR * (angle - (FLATTENING / 2) * (x + y));
}

/** The nearest of all capitals, each of them tried, and how far it is. */
export function nearestCapital(point: Point): { capital: string; metres: number } {
  let nearest = { capital: '', metres: Number.POSITIVE_INFINITY };
  for (const capital of capitals) {
    const metres = distance(point, capital);
    if (metres < nearest.metres) nearest = { capital: capital.name, metres };
  }
  return nearest;
}

function reducedLatitude({ lat }: Point): number {
  return Math.atan((1 - FLATTENING) * Math.tan(radians(lat)));
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
