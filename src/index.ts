export { PageStoreError } from './errors.ts';
