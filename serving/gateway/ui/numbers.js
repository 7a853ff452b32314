// Numbers in a text, by the rules of serving/inputs/histories.py.
import { t } from "./words.js";

const NUMBER = /^[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?$/i;

// Commas, semicolons or white space separate numbers. A comma between digits may be a decimal comma: it separates
// numbers only if nothing else does.
export function numbers(text) {
  const trimmed = text.replace(/^[\s,;]+|[\s,;]+$/g, "");
  let parts = trimmed.split(/[ \t\r\n;]+|,[ \t\r\n]+/).filter(Boolean);
  if (parts.length === 1) parts = parts[0].split(",");
  return parts.map((part) => {
    const plain = part.replace("−", "-");
    if (NUMBER.test(plain) && Number.isFinite(Number(plain))) return Number(plain);
    throw new Error(part.includes(",")
      ? t("“{part}” is not a number. Write decimals with a point, and a space after each comma between numbers.", { part })
      : t("“{part}” is not a number. Write numbers such as 0.31.", { part }));
  });
}
