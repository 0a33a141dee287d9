/**
 * The path of a file as a URI reference of RFC 3986: relative where the path is, so that it holds on another
 * machine as well; `file:` where it is absolute.
 * @param windows - whether the path is one of Windows, with backslashes and drives
 */
export function fileUri(path: string, windows: boolean): string {
  const slashed = windows ? path.replaceAll('\\', '/') : path;
  const drive = windows ? (/^[A-Za-z]:(?=\/)/.exec(slashed)?.[0] ?? '') : '';
  // Of `//server/share/file`, the server is the authority.
  const isShare = windows && slashed.startsWith('//');
  const isAbsolute = drive !== '' || slashed.startsWith('/');
  const segments = slashed
    .slice(drive.length)
    .split('/')
    .filter((segment) => segment !== '' && segment !== '.')
    .map(encodeSegment);
  if (isAbsolute) return `file://${isShare ? '' : '/'}${[...(drive === '' ? [] : [drive]), ...segments].join('/')}`;
  // An empty reference would mean the report itself.
  return segments.length === 0 ? './' : segments.join('/');
}

/** A lone surrogate has no place in UTF-8: it becomes the replacement character, as in any text that is written. */
function encodeSegment(segment: string): string {
  return encodeURIComponent(Buffer.from(segment).toString());
}
