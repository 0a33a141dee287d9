// TextEncoder.encodeInto writes until its target is full, and takes a view for an offset; names are short, so a loop
// that counts first and writes then is no slower, and leaves the target alone where they do not fit.

/** Bytes of `text` in UTF-8. @throws TypeError for a lone surrogate, which would be written as U+FFFD like any other */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    bytes += unit < 0x800 ? 1 : 2;
    if (unit >= 0xd800 && unit <= 0xdfff) {
      const low = unit < 0xdc00 ? text.charCodeAt(++at) : NaN; // NaN behind the end of the text
      if (!(low >= 0xdc00 && low <= 0xdfff)) throw new TypeError('a lone surrogate has no bytes in UTF-8');
      // A pair is two units and four bytes, and two were added.
    }
  }
  return bytes;
}

/**
 * Writes `text` in UTF-8 at `offset`. `utf8Bytes` has been asked, and `target` has the room.
 * @returns the offset behind it
 */
export function writeUtf8(text: string, target: Uint8Array, offset: number): number {
  let to = offset;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) {
      target[to++] = unit;
    } else if (unit < 0x800) {
      target[to++] = 0xc0 | (unit >> 6);
      target[to++] = 0x80 | (unit & 0x3f);
    } else if (unit < 0xd800 || unit > 0xdfff) {
      target[to++] = 0xe0 | (unit >> 12);
      target[to++] = 0x80 | ((unit >> 6) & 0x3f);
      target[to++] = 0x80 | (unit & 0x3f);
    } else {
      const point = 0x10000 + ((unit - 0xd800) << 10) + (text.charCodeAt(++at) - 0xdc00);
      target[to++] = 0xf0 | (point >> 18);
      target[to++] = 0x80 | ((point >> 12) & 0x3f);
      target[to++] = 0x80 | ((point >> 6) & 0x3f);
      target[to++] = 0x80 | (point & 0x3f);
    }
  }
  return to;
}
