import { parseArgs } from 'node:util';

/** Something that the user asked for and that cannot be: the message alone is for him. */
export class Misuse extends Error {}

export const USAGE = `npm run bench -- [PATTERN] [options]

  PATTERN, --only PATTERN  only scenarios whose names match this regular expression
  --list                   their names, and nothing is measured
  --quick                  fewer and shorter rounds of fewer scenarios: about two minutes
  --check                  exit code 1 if a target of bench/targets.json is missed, also when it is measured again
  --baseline FILE          a column for how each figure compares with an earlier result
  --json                   the result on stdout instead of tables
  --from FILE              nothing is measured: tables and report of an earlier result
  --charts                 writes the charts of the README as well
  --node VERSION           run on that Node (22, 24, 26, ...), which is fetched from npm
`;

const CONFIG = {
  only: { type: 'string', default: '' },
  list: { type: 'boolean', default: false },
  quick: { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
  baseline: { type: 'string' },
  json: { type: 'boolean', default: false },
  from: { type: 'string' },
  charts: { type: 'boolean', default: false },
  node: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

export interface Options {
  readonly only: RegExp;
  readonly list: boolean;
  readonly quick: boolean;
  readonly check: boolean;
  readonly baseline: string | undefined;
  readonly json: boolean;
  readonly from: string | undefined;
  readonly charts: boolean;
  readonly node: string | undefined;
  readonly help: boolean;
}

/** Throws an error that says which argument was wrong. */
export function parse(args: readonly string[]): Options {
  const { values, positionals } = parsed(args);
  const [pattern = values.only, ...rest] = positionals;
  if (rest.length > 0)
    throw new Misuse(`one PATTERN is allowed, and there is ${rest.map((each) => `"${each}"`).join(', ')} as well`);
  const { baseline, from, node, list, quick, check, json, charts, help } = values;
  return { only: regularExpression(pattern), list, quick, check, baseline, json, from, charts, node, help };
}

function parsed(
  args: readonly string[],
): ReturnType<typeof parseArgs<{ options: typeof CONFIG; allowPositionals: true }>> {
  try {
    return parseArgs({ args: [...args], options: CONFIG, allowPositionals: true });
  } catch (error) {
    throw new Misuse(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
  }
}

function regularExpression(pattern: string): RegExp {
  try {
    return new RegExp(pattern, 'i');
  } catch (error) {
    throw new Misuse(`PATTERN must be a regular expression: ${error instanceof Error ? error.message : error}`);
  }
}
