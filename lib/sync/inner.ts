/** A mutex inside another object: its word and its wait set lie there, and its errors say the name of that one. */
import type { LivePlace } from '../memory/handles.ts';
import { Mutex } from './mutex.ts';

export class InnerMutex extends Mutex {
  readonly #title: string;

  constructor(place: LivePlace, title: string) {
    super(place);
    this.#title = title;
  }

  override get title(): string {
    return this.#title;
  }
}
