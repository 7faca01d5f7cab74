// What the threads of the server do; and the client, so that it does not disturb the server's event loop.
import { marked } from 'marked';

/** Markdown as HTML. */
export function render(markdown: string): string {
  return marked.parse(markdown, { async: false });
}

/** Asks for the page so many times, `clients` at a time; gives how many answers were right, and the milliseconds of each. */
export async function load(
  url: string,
  requests: number,
  clients: number,
): Promise<{ right: number; times: number[] }> {
  const times: number[] = [];
  let right = 0;
  let left = requests;
  const ask = async (): Promise<void> => {
    while (left-- > 0) {
      const begin = performance.now();
      const answer = await fetch(url);
      right += Number((await answer.text()).includes('<h1>'));
      times.push(performance.now() - begin);
    }
  };
  await Promise.all(Array.from({ length: clients }, ask));
  return { right, times };
}
