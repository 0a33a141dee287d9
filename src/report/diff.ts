import type { Difference } from '../transfer/difference.ts';
import type { Style } from './style.ts';
import { plural } from './text.ts';

/** One difference as a line, without its end. @param names - of the two files, for damage in one of them */
export function differenceText(
  difference: Difference,
  names: { readonly a: string; readonly b: string },
  style: Style,
): string {
  switch (difference.type) {
    case 'header':
      return `${style.warning('header')} ${difference.field}  ${difference.a} -> ${difference.b}`;
    case 'block':
      return `${style.warning('block')} ${difference.block}  ${blockText(difference)}`;
    case 'added':
      return `${style.info('added')} ${difference.block}:${difference.slot}  ${plural(difference.bytes, 'byte')}`;
    case 'removed':
      return `${style.error('removed')} ${difference.block}:${difference.slot}  ${plural(difference.bytes, 'byte')}`;
    case 'changed': {
      const { block, slot, aBytes, bBytes, firstByte } = difference;
      const lengths = `${plural(aBytes, 'byte')} -> ${plural(bBytes, 'byte')}`;
      return `${style.warning('changed')} ${block}:${slot}  ${lengths}, from byte ${firstByte}`;
    }
    case 'damaged':
    default:
      return `${style.error('damaged')} ${names[difference.file]}  ${difference.message}`;
  }
}

function blockText({ field, a, b }: Extract<Difference, { type: 'block' }>): string {
  const change = `${a} -> ${b}`;
  if (field === 'content') return change;
  if (field === 'orphanedBytes') return `bytes without a directory ${change}`;
  return `${field} ${change}`;
}
