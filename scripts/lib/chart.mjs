// A bar chart as SVG text: groups of horizontal bars, one bar a side.

import { format } from '../../benchmark/lib/stats.mjs';

const WIDTH = 860;
const LEFT = 200;
/** Room behind the longest bar for its figure. */
const RIGHT = 110;
const BAR = 18;
const GROUP_HEAD = 30;
const GROUP_GAP = 10;
const HEAD = 64;
const FOOT = 44;

/** What a side is drawn in: ours stands out. @type {Record<string, string>} */
const COLOURS = { rcluster: '#c2410c', node: '#4d7c0f', bun: '#a16207' };
const OTHER = '#64748b';

const MARKS = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escape = (text) => String(text).replace(/[&<>"]/g, (mark) => MARKS[mark]);

/**
 * @param {{ title: string, unit: string, isLogarithmic?: boolean, better: 'higher' | 'lower', source: string,
 *   groups: { name: string, bars: [side: string, value: number | null][] }[] }} chart values of null and below have no bar
 */
export function barChart({ title, unit, isLogarithmic = false, better, source, groups }) {
  const values = groups.flatMap(({ bars }) => bars.map(([, value]) => value)).filter((value) => value > 0);
  const lengthOf = lengths(values, isLogarithmic);
  const parts = [];
  let y = HEAD;
  for (const { name, bars } of groups) {
    parts.push(`<text class="group" x="20" y="${y + 20}">${escape(name)}</text>`);
    y += GROUP_HEAD;
    for (const [side, value] of bars) {
      const length = value > 0 ? lengthOf(value) : 0;
      const middle = y + BAR - 5;
      parts.push(
        `<text x="${LEFT - 10}" y="${middle}" text-anchor="end">${escape(side)}</text>`,
        `<rect x="${LEFT}" y="${y}" width="${length}" height="${BAR - 4}" fill="${COLOURS[side] ?? OTHER}" />`,
        `<text x="${LEFT + length + 6}" y="${middle}">${format(value)}</text>`,
      );
      y += BAR;
    }
    y += GROUP_GAP;
  }
  const height = y + FOOT;
  const axis = `${unit}${isLogarithmic ? ', logarithmic' : ''}; ${better === 'higher' ? 'longer' : 'shorter'} is better`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="13">
  <style>
    text { fill: #222; }
    .title { font-weight: 600; font-size: 16px; }
    .group { font-weight: 600; }
    .note { fill: #555; font-size: 12px; }
  </style>
  <rect width="${WIDTH}" height="${height}" fill="#fafafa" />
  <text class="title" x="20" y="30">${escape(title)}</text>
  <text class="note" x="20" y="50">${escape(axis)}</text>
  ${parts.join('\n  ')}
  <text class="note" x="20" y="${height - 16}">${escape(source)}</text>
</svg>
`;
}

/** How long a bar is; a logarithmic one begins at the power of ten below the least value. */
function lengths(values, isLogarithmic) {
  const room = WIDTH - LEFT - RIGHT;
  const most = Math.max(...values);
  const round = (length) => Math.round(length * 10) / 10;
  if (!isLogarithmic) return (value) => round((room * value) / most);
  const first = Math.ceil(Math.log10(Math.min(...values))) - 1;
  const span = Math.log10(most) - first;
  return (value) => round((room * (Math.log10(value) - first)) / span);
}
