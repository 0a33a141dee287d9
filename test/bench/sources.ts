import { fileURLToPath } from 'node:url';
import type { Sources } from './peer.ts';

/** What users get of the library, and what is installed here. Bundles are told, since they are elsewhere. */
export const SOURCES: Sources = {
  library: new URL('../../dist/index.js', import.meta.url).href,
  packages: fileURLToPath(new URL('.', import.meta.url)),
};
