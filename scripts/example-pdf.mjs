// Writes examples/energy-figures.pdf: two plain pages with a ruled table, made by hand so that the repository has a PDF
// that is ours. Usage: node scripts/example-pdf.mjs

import { writeFileSync } from 'node:fs';

const width = 595, height = 842, left = 64, right = 531; // A4 in points

const escape = (s) => s.replace(/[\\()]/g, (c) => `\\${c}`);
const line = (x, y, size, font, s) => `BT /${font} ${size} Tf ${x} ${y} Td (${escape(s)}) Tj ET`;
const rule = (y) => `${left} ${y} m ${right} ${y} l S`;

// paragraph sets lines that are already broken and returns where the next thing goes.
function paragraph(out, y, lines) {
  for (const l of lines) {
    out.push(line(left, y, 11, 'R', l));
    y -= 16;
  }
  return y - 10;
}

function table(out, y, columns, rows) {
  out.push('0.6 w', rule(y + 16));
  rows.forEach((row, i) => {
    row.forEach((cell, c) => out.push(line(columns[c], y, 10.5, i === 0 ? 'B' : 'R', cell)));
    out.push(rule(y - 7));
    y -= 23;
  });
  return y - 8;
}

const first = [];
let y = 770;
first.push(line(left, y, 18, 'B', 'Meter readings of the town library, 2021 to 2024'));
y = paragraph(first, y - 22, ['Building office of Millbrook, January 2025']);
first.push(line(left, y - 6, 13, 'B', 'Consumption by year'));
y = paragraph(first, y - 28, [
  'All figures are taken from the calibrated meters and rounded to half a megawatt hour.',
  'The year 2023 is incomplete, because the building was closed from April on.',
]);
y = table(first, y - 8, [left, 250, 330, 410, 480], [
  ['Megawatt hours', '2021', '2022', '2023', '2024'],
  ['Heat delivered to the building', '212.0', '205.0', '71.5', '119.0'],
  ['Gas burnt', '246.5', '238.5', '83.0', '0.0'],
  ['Electricity used', '76.0', '74.0', '29.5', '89.0'],
  ['of this for heat pumps', '0.0', '0.0', '2.0', '35.0'],
  ['of this for lighting', '32.0', '31.0', '9.5', '12.5'],
  ['Solar power produced', '0.0', '0.0', '3.5', '55.5'],
  ['Electricity bought', '76.0', '74.0', '27.0', '50.0'],
]);
first.push(line(left, y - 6, 13, 'B', 'How to read the table'));
paragraph(first, y - 28, [
  'Gas was burnt with an efficiency of 86 percent, so that 238.5 MWh of gas gave 205 MWh of heat',
  'in 2022. Since February 2024 all heat comes from the two heat pumps, whose meter counts the',
  'pumps and fans as well. Solar power that was sold is not part of the electricity used.',
]);

const second = [];
y = 770;
second.push(line(left, y, 13, 'B', 'The year 2024 by quarter'));
y = table(second, y - 34, [left, 250, 330, 410, 480], [
  ['Megawatt hours', 'Jan-Mar', 'Apr-Jun', 'Jul-Sep', 'Oct-Dec'],
  ['Heat delivered', '54.5', '14.0', '2.5', '48.0'],
  ['Heat pumps', '17.0', '3.5', '0.5', '14.0'],
  ['Solar power produced', '8.5', '20.5', '20.0', '6.5'],
  ['Solar power sold', '0.5', '7.5', '8.0', '0.5'],
]);
second.push(line(left, y - 6, 13, 'B', 'Remarks'));
paragraph(second, y - 28, [
  'Half of the solar power that was sold in summer was produced on Sundays and Mondays, when the',
  'library is closed. A battery of 60 kWh would carry about 9 MWh a year from the day into the evening.',
  'In January 2024 the old gas boiler stood by while the heat pumps were handed over. The 1.5 MWh of gas',
  'that it burnt were paid by the builder and are not counted here.',
]);

const objects = [
  '<< /Type /Catalog /Pages 2 0 R /Lang (en) >>',
  '<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 >>',
  ...[5, 6].map((content) => `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${width} ${height}] /Contents ${content} 0 R /Resources << /Font << /R 7 0 R /B 8 0 R >> >> >>`),
  ...[first, second].map((page) => { const s = page.join('\n'); return `<< /Length ${s.length} >>\nstream\n${s}\nendstream`; }),
  '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>',
  '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>',
  '<< /Title (Meter readings of the town library, 2021 to 2024) /Author (Building office of Millbrook) /CreationDate (D:20250120090000Z) >>',
];

let pdf = '%PDF-1.4\n';
const offsets = objects.map((o, i) => {
  const at = pdf.length;
  pdf += `${i + 1} 0 obj\n${o}\nendobj\n`;
  return at;
});
const xref = pdf.length;
pdf += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${offsets.map((o) => `${String(o).padStart(10, '0')} 00000 n \n`).join('')}`;
pdf += `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R /Info ${objects.length} 0 R >>\nstartxref\n${xref}\n%%EOF\n`;
writeFileSync(new URL('../examples/energy-figures.pdf', import.meta.url), pdf, 'latin1');
