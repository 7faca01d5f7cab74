/** The examples, in the order in which they are run. */
export const examples: readonly string[] = [
  'tickets',
  'kitchen',
  'philosophers',
  'readers',
  'downloads',
  'heat',
  'cities',
  'flights',
  'hash',
  'http',
  'two-processes',
  'two-machines',
];
