import { type Capital, capitals, type Point } from './capitals.ts';

const EARTH_RADIUS = 6371.0088; // km, the mean radius of the International Union of Geodesy and Geophysics
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

/** The great-circle distance in km, by the haversine formula. */
export function distance(from: Point, to: Point): number {
  const north = Math.sin(radians(to.lat - from.lat) / 2) ** 2;
  const east = Math.sin(radians(to.lng - from.lng) / 2) ** 2;
  const haversine = north + Math.cos(radians(from.lat)) * Math.cos(radians(to.lat)) * east;
  return 2 * EARTH_RADIUS * Math.asin(Math.min(1, Math.sqrt(haversine)));
}

/** The nearest of all capitals, each of them tried, and how far it is in km. */
export function nearestCapital(point: Point): { capital: Capital; km: number } {
  const [first, ...others] = capitals as [Capital, ...Capital[]];
  const nearest = { capital: first, km: distance(point, first) };
  for (const capital of others) {
    const km = distance(point, capital);
    if (km < nearest.km) Object.assign(nearest, { capital, km });
  }
  return nearest;
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
