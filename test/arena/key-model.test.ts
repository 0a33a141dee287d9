import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KEY_PROPERTIES } from '../support/key-model.ts';

test.each(Object.entries(KEY_PROPERTIES))(
  '%s keeps its keys as a list does, and refuses those of another',
  (_, property) => {
    const result = fc.check(property, { numRuns: 60 });
    expect(result.failed ? fc.defaultReportMessage(result) : '').toBe('');
  },
);
