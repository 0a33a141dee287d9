import type { Recipe } from '../corpus.ts';
import { BLOCK_DAMAGE } from './block-damage.ts';
import { COMMIT_DAMAGE } from './commit-damage.ts';
import { CHECKSUM_DAMAGE } from './content-damage.ts';
import { DIRECTORY_DAMAGE } from './directory-damage.ts';
import { type Damage, Draft } from './draft.ts';
import { HEADER_DAMAGE } from './header-damage.ts';
import { PAGE_HEADER_DAMAGE } from './page-damage.ts';
import { ROOT_DAMAGE } from './root-damage.ts';
import { SIZE_DAMAGE } from './size-damage.ts';

const ALL: Readonly<Record<string, Damage>> = {
  ...HEADER_DAMAGE,
  ...ROOT_DAMAGE,
  ...SIZE_DAMAGE,
  ...PAGE_HEADER_DAMAGE,
  ...DIRECTORY_DAMAGE,
  ...CHECKSUM_DAMAGE,
  ...COMMIT_DAMAGE,
  ...BLOCK_DAMAGE,
};

/** The recipe of each damaged file, by its name. @param baseBytes - returns the bytes of a base */
export function makeRecipes(baseBytes: (base: string) => Uint8Array): Map<string, Recipe> {
  const editsOf = (base: string, change: (draft: Draft) => void = () => undefined): Draft['edits'] => {
    const draft = new Draft(baseBytes(base));
    change(draft);
    return draft.edits;
  };
  const recipes = new Map<string, Recipe>();
  for (const [name, { base, description, change, journal, options, expect, error }] of Object.entries(ALL)) {
    recipes.set(name, {
      description,
      base,
      edits: editsOf(base, change),
      ...(journal && { journal: { base: journal.base, edits: editsOf(journal.base, journal.change) } }),
      ...(options && { options }),
      expect,
      ...(error !== undefined && { error }),
    });
  }
  return recipes;
}
