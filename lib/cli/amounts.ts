import { InvalidArgumentError } from "commander";

const BYTES: Readonly<Record<string, number>> = {
  "": 1,
  K: 1024,
  M: 1024 ** 2,
  G: 1024 ** 3,
  T: 1024 ** 4,
};

const MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Parses a number of bytes, such as `10G`: units are powers of 1024. */
export function bytes(text: string): number {
  return amount(
    text,
    /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i,
    (unit) => BYTES[unit.toUpperCase()],
    "Give bytes such as 500M or 10G.",
  );
}

/** Parses a duration, such as `7d`, to milliseconds. */
export function duration(text: string): number {
  return amount(
    text,
    /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/,
    (unit) => MILLISECONDS[unit],
    "Give a duration such as 90s, 30m, 12h or 7d.",
  );
}

function amount(
  text: string,
  pattern: RegExp,
  factorOf: (unit: string) => number | undefined,
  advice: string,
): number {
  const [, digits, unit] = pattern.exec(text) ?? [];
  const factor = factorOf(unit ?? "?");
  const value = Math.round(Number(digits) * (factor ?? NaN));
  if (Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError(advice);
}
