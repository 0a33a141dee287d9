import { describe, expect, test } from 'vitest';
import { killWriters } from '../support/kills/campaign.ts';

describe('writers that are killed', () => {
  test('lose no node that they acknowledged, and leave a file that is valid before and after recovery', async () => {
    const tally = await killWriters(12, 20, 150);
    expect(tally.rounds).toBe(12);
    // They had acknowledged something: otherwise this shows nothing.
    expect(tally.acknowledged).toBeGreaterThan(0);
    expect(tally.refsChecked).toBeGreaterThan(tally.acknowledged);
  });
});
