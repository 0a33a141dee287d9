/** So many lines of hex, each a node of 32 bytes. */
export const hexLines = (count: number): string => '0123456789abcdef'.repeat(4).concat('\n').repeat(count);

/** So many of these lines are a little over two segments. */
export const TWO_SEGMENTS = 8100;
