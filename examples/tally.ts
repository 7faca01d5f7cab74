/** What is known of a city when the work on it is done. */
export interface Located {
  /** Such as `Wellington NZ`. */
  readonly city: string;
  readonly geohash: string;
  /** The nearest one. */
  readonly capital: string;
  /** To that capital. */
  readonly metres: number;
}

export interface Answer {
  readonly cities: number;
  /** The three capitals that are the nearest one of most cities, most first. */
  readonly capitals: readonly (readonly [name: string, cities: number])[];
  /** From a city to its capital. */
  readonly meanMetres: number;
  readonly farthest: Located;
  /** Four digits of a geohash, at most 39 km by 20 km, and how many cities are in it. */
  readonly busiest: readonly [cell: string, cities: number];
}

/** Adds cities up; the answer does not depend on the order in which they come. */
export class Tally {
  readonly #capitals = new Map<string, number>();
  readonly #cells = new Map<string, number>();
  #cities = 0;
  #metres = 0; // Whole metres, whose sum is exact in any order.
  #farthest: Located | undefined;

  add(located: Located): void {
    this.#cities++;
    this.#metres += located.metres;
    addOne(this.#capitals, located.capital);
    addOne(this.#cells, located.geohash.slice(0, 4));
    if (!this.#farthest || isFarther(located, this.#farthest)) this.#farthest = located;
  }

  answer(): Answer {
    const [busiest] = mostFirst(this.#cells);
    if (!this.#farthest || !busiest) throw new Error('there was no city');
    return {
      cities: this.#cities,
      capitals: mostFirst(this.#capitals).slice(0, 3),
      meanMetres: this.#metres / this.#cities,
      farthest: this.#farthest,
      busiest,
    };
  }
}

function addOne(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

// Among equals the name decides, so that the order of arrival never shows.

function mostFirst(counts: Map<string, number>): [string, number][] {
  return [...counts].sort(([a, many], [b, more]) => more - many || (a < b ? -1 : 1));
}

function isFarther(a: Located, b: Located): boolean {
  return a.metres > b.metres || (a.metres === b.metres && a.city < b.city);
}
