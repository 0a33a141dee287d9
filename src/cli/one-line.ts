export { oneLine } from '../report/one-line.ts';
