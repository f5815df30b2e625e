// What a slip carries: the claim code (25 symbols), the ready group (5 symbols) and the fragment that joins them.
//
// A code is 115 random bits in 23 Crockford base32 symbols and two check symbols of a Reed-Solomon code over GF(32)
// (x^5 + x^2 + 1, roots alpha^0 and alpha^1, first symbol the highest power): every error of one or two symbols is
// noticed. Errors are told, never corrected. Text and numbers in, values or a CodeError out; no document, no network.

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CODE_SYMBOLS = 25;
const DATA_SYMBOLS = 23;
const GROUP_SYMBOLS = 5;
const FRAGMENT_VERSION = "1";
export const PRACTICE_TICK = 0; // the ready group "00000" of posters: the newest complete cohort
const TYPED_CHARACTERS_MAX = 200; // a code with any separators has fewer
const PASTED_CHARACTERS_MAX = 400; // the address on a slip at most

// What typing may change, as a table: upper-casing whole texts would turn other scripts' letters into ours. Beyond what
// the slip's own program folds: native digits of Arabic and Persian keyboards, and Cyrillic letters that look like ours.
const FULL_WIDTH = 0xfee0;
const LOOK_ALIKES = { А: "A", В: "B", С: "C", Е: "E", Н: "H", К: "K", М: "M", О: "0", Р: "P", Т: "T", Х: "X" };
const DROPPED = /[\s\p{Pd}\p{Cf}\u2212\u00b7._]/gu; // spaces, dashes, invisible marks of writing direction
const FOLDS = folding();

function folding() {
  const pairs = [...ALPHABET].map((symbol) => [symbol, symbol]);
  pairs.push(["O", "0"], ["I", "1"], ["L", "1"], ...Object.entries(LOOK_ALIKES));
  pairs.push(...pairs.map(([typed, meant]) => [typed.toLowerCase(), meant]));
  pairs.push(...pairs.map(([typed, meant]) => [String.fromCodePoint(typed.codePointAt(0) + FULL_WIDTH), meant]));
  for (const zero of [0x660, 0x6f0]) {
    for (let digit = 0; digit < 10; digit += 1) pairs.push([String.fromCodePoint(zero + digit), String(digit)]);
  }
  return new Map(pairs);
}

/** What is wrong with a code or a group: `kind` is "symbol", "length", "check", "version" or "shape". */
export class CodeError extends Error {
  constructor(part, kind, detail = "") {
    super(`${part}: ${kind}`);
    this.part = part; // "code", "group" or "fragment"
    this.kind = kind;
    this.detail = detail; // the symbol that no code has, or how many symbols there are
  }
}

/** Fold what was typed into symbols; what no code has stays as it is. */
export function fold(text) {
  return Array.from(text.slice(0, PASTED_CHARACTERS_MAX).replace(DROPPED, ""), (char) => FOLDS.get(char) ?? char).join("");
}

/** The 25 symbols of a code without dashes, CodeError when it is none. */
export function parseCode(text) {
  const values = symbols(text, "code", CODE_SYMBOLS);
  if (syndrome(values, 1) !== 0 || syndrome(values, 2) !== 0) throw new CodeError("code", "check");
  return values.map((value) => ALPHABET[value]).join("");
}

/** The part of a code that keys are derived from. */
export function dataSymbols(code) {
  return code.slice(0, DATA_SYMBOLS);
}

/** The ready tick of a group: 22 bits of tick, then 3 bits of tick modulo 7. */
export function parseGroup(text) {
  const bits = symbols(text, "group", GROUP_SYMBOLS).reduce((sum, value) => sum * 32 + value, 0);
  const tick = bits >>> 3;
  if (tick % 7 !== (bits & 7)) throw new CodeError("group", "check");
  return tick;
}

/** {code, tick} of "#1.<25>.<5>"; tick is null where the group is left out. */
export function parseFragment(text) {
  const parts = text.replace(/^#/u, "").split(".", 4);
  if (parts[0] !== FRAGMENT_VERSION) throw new CodeError("fragment", "version");
  if (parts.length < 2 || parts.length > 3) throw new CodeError("fragment", "shape");
  return { code: parseCode(parts[1]), tick: parts.length === 3 ? parseGroup(parts[2]) : null };
}

/** {code, group} as texts out of what was typed or pasted into one field: an address, six groups, or a code alone. */
export function split(text) {
  const address = /#1\.([^.]*)(?:\.([^.]*))?$/u.exec(text.slice(0, PASTED_CHARACTERS_MAX).trim());
  if (address) return { code: fold(address[1]), group: fold(address[2] ?? "") };
  const folded = fold(text);
  if (folded.length === CODE_SYMBOLS + GROUP_SYMBOLS) {
    return { code: folded.slice(0, CODE_SYMBOLS), group: folded.slice(CODE_SYMBOLS) };
  }
  return { code: folded, group: "" };
}

function symbols(text, part, wanted) {
  if (text.length > TYPED_CHARACTERS_MAX) throw new CodeError(part, "length", String(text.length));
  const chars = Array.from(fold(text));
  const stranger = chars.find((char) => !ALPHABET.includes(char));
  if (stranger !== undefined) throw new CodeError(part, "symbol", stranger);
  if (chars.length !== wanted) throw new CodeError(part, "length", String(chars.length));
  return chars.map((char) => ALPHABET.indexOf(char));
}

// The code word as a polynomial, at alpha^0 = 1 or alpha^1 = 2, by Horner's rule.
function syndrome(values, root) {
  return values.reduce((sum, value) => (root === 1 ? sum : timesAlpha(sum)) ^ value, 0);
}

function timesAlpha(value) {
  const shifted = value << 1;
  return shifted & 32 ? shifted ^ 0b100101 : shifted;
}
