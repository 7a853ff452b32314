// CSV files: encodings, separators, decimal commas, missing values and the order of the rows.
import { t } from "../words.js";

const MISSING = /^(|-|–|\.|null|none|na|n\/a|nan|#n\/a)$/i;
// Names of values, best first, as in serving/inputs/series_csv/columns.py: exact, or at the end of a name without OTHERS.
const NAMES = [
  "adjusted|adj close|adjusted close|adjclose|adj closing price|adjusted closing price|close adj|close adjusted",
  "close|closing price|close price|closing|price close|schlusskurs|schluss|fechamento|fecho|cierre|clôture|chiusura",
  "price|last|last price|value|settle|settlement|nav|rate|mid|kurs|preis|wert|zuletzt|último|ultimo|preço|preco|valor|precio|prix|valeur|prezzo|y",
].map((names) => names.split("|"));
const OTHERS = /\b(prev|previous|prior|pre|last|unadjusted|unadj|raw|volume|vol|open|high|low|change|chg|pct|percent|diff|lag|next|ask|bid|split|cap|anterior)\b/;
const MOST_TEXT = 0.2; // share of cells of a column of numbers that are no numbers

// The columns of numbers of a file: [{name, values, times, dropped, thousands}], the index of the likeliest, and remarks for people.
// `wanted` is the name of the column that the model was trained on, if it is known.
export function readCsv(bytes, wanted = null) {
  const text = decode(new Uint8Array(bytes));
  const head = text.split(/\r\n?|\n/).find((line) => line.trim()) ?? "";
  const separator = [";", "\t", ",", "|"].find((one) => split(head, one)[0]?.length > 1) ?? ";";
  const rows = split(text, separator).filter((row) => row.some((cell) => cell !== ""));
  if (rows.length < 2) throw new Error(t("The file has no rows."));
  const titled = rows[0].every((cell) => Number.isNaN(number(bare(cell), ".")) && !MISSING.test(cell));
  const names = titled ? rows.shift() : rows[0].map((_, index) => t("column {number}", { number: index + 1 }));
  const odd = rows.findIndex((row) => row.length !== names.length);
  if (odd >= 0) throw new Error(t("Row {row} has {cells} cells, but {columns} are expected. Decimal commas need quotes or semicolons.",
    { row: odd + 1 + titled, cells: rows[odd].length, columns: names.length }));
  const remarks = [t("{rows} rows", { rows: rows.length })];
  const order = dates(rows, names.length);
  if (order?.newestFirst) {
    rows.reverse();
    order.times.reverse();
    remarks.push(t("newest first, so turned round"));
  }
  const cells = names.map((_, index) => rows.map((row) => bare(row[index])));
  // A column whose commas or points may be thousands is read as the columns that leave no doubt.
  const sure = cells.filter((_, index) => index !== order?.index).map((one) => certainSign(one)).find(Boolean);
  const columns = names.map((name, index) => column(name, cells[index], sure, order?.times))
    .filter((one, index) => one !== null && index !== order?.index);
  if (columns.length === 0) throw new Error(t("The file has no column of numbers."));
  const likely = likeliest(columns.map(({ name }) => name), wanted);
  if (likely === null) remarks.push(t("choose a column"));
  return { columns, likely: likely ?? 0, first: order?.first ?? null, last: order?.last ?? null, remarks };
}

function likeliest(names, wanted) {
  if (names.length === 1) return 0;
  if (names.includes(wanted)) return names.indexOf(wanted);
  const plain = names.map((name) => name.replace(/\(.*?\)|\[.*?\]|^\s*\d+\.\s+/g, " ").replace(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase().replace(/[^\p{L}\d%]+/gu, " ").trim());
  for (const known of NAMES) {
    const exact = plain.findIndex((name) => known.includes(name));
    if (exact >= 0) return exact;
    const similar = plain.findIndex((name) => known.some((one) => name.endsWith(` ${one}`)) && !OTHERS.test(name));
    if (similar >= 0) return similar;
  }
  return null;
}

function decode(bytes) {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

// Rows of cells; quoted cells may hold separators, line ends and doubled quotes.
function split(text, separator) {
  const rows = [[]];
  const cell = /(?:"((?:[^"]|"")*)"|([^\r\n]*?))(SEPARATOR|\r\n?|\n|$)/.source.replace("SEPARATOR", separator === "|" ? "\\|" : separator);
  for (const [, quoted, raw, end] of text.matchAll(new RegExp(cell, "g"))) {
    rows.at(-1).push((quoted?.replaceAll('""', '"') ?? raw).trim());
    if (end !== separator) rows.push([]);
    if (end === "") break;
  }
  return rows.slice(0, -1);
}

// A cell without a sign of currency or percent before or after its digits.
function bare(cell) {
  const sign = /(?:[A-Z]{0,3}\$|[€£¥₹₽₩₺₪฿₫₴₦%]|kr|zł|Fr\.?|\b(?:USD|EUR|GBP|CHF|JPY|CNY|BRL|INR|CAD|AUD|SEK|NOK|DKK|PLN)\b)/.source;
  return cell.replace(new RegExp(`^([-+−]?)${sign}\\s*(?=[-+−]?[\\d.,])|(?<=\\d)\\s*${sign}$`, "g"), "$1");
}

// The decimal sign if some cell can be read in one way alone; null if all may be thousands, or whole numbers.
function certainSign(cells) {
  const numbers = cells.filter((cell) => /^[-+−]?[\d.,\s'’]+$/.test(cell));
  if (numbers.some((cell) => /\d,(\d{1,2}|\d{4,})$|\.\d{3}[.,]\d|^[-+−]?0,\d/.test(cell))) return ",";
  return numbers.some((cell) => /\d\.(\d{1,2}|\d{4,})$|,\d{3}[.,]\d|^[-+−]?0\.\d/.test(cell)) ? "." : null;
}

function number(cell, sign) {
  const plain = cell.replace("−", "-").replace(/[\s'’]/g, "").replaceAll(sign === "," ? "." : ",", "").replace(",", ".");
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(plain) ? Number(plain) : NaN;
}

function column(name, cells, sure, times) {
  const present = cells.filter((cell) => !MISSING.test(cell));
  const sign = certainSign(present) ?? sure ?? ".";
  const numbers = present.map((cell) => number(cell, sign));
  const values = numbers.filter(Number.isFinite);
  if (values.length === 0 || values.length < (1 - MOST_TEXT) * numbers.length) return null;
  const thousands = sign === "." && present.some((cell) => cell.includes(",")) && !present.some((cell) => cell.includes("."));
  const kept = times && cells.flatMap((cell, row) => (!MISSING.test(cell) && Number.isFinite(number(cell, sign)) ? [times[row]] : []));
  return { name, values, times: kept ?? null, thousands, dropped: cells.length - values.length };
}

// The first column of dates: its index, its times in ISO 8601, whether the newest comes first, and the oldest and newest date.
function dates(rows, width) {
  for (let index = 0; index < width; index++) {
    const cells = rows.map((row) => row[index]);
    for (const read of [iso, (cell) => parts(cell, [2, 1, 0]), (cell) => parts(cell, [2, 0, 1])]) {
      const times = cells.map(read);
      if (times.some((time) => time === null)) continue;
      const rises = times.every((time, row) => row === 0 || times[row - 1] <= time);
      const falls = times.every((time, row) => row === 0 || times[row - 1] >= time);
      if (rises === falls) continue;
      return { index, times, newestFirst: falls, first: cells.at(falls ? -1 : 0), last: cells.at(falls ? 0 : -1) };
    }
  }
  return null;
}

const written = (year, month, day, clock) => [[year, month, ...(day ? [day] : [])].join("-"), ...(clock ? [clock] : [])].join("T");

function iso(cell) {
  const found = /^(\d{4})[-/.]?(\d{2})(?:[-/.]?(\d{2}))?(?:[ T](.*))?$/.exec(cell);
  return found && written(...found.slice(1));
}

function parts(cell, [year, month, day]) {
  const found = /^(\d{1,2})[-/.](\d{1,2})[-/.](\d{2,4})(?:[ T](.*))?$/.exec(cell)?.slice(1);
  if (!found || found[month] > 12 || found[day] > 31) return null;
  const century = found[year].length < 4 ? "20" : "";
  return written(century + found[year], found[month].padStart(2, "0"), found[day].padStart(2, "0"), found[3]);
}
