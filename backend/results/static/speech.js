// Sentences, dates and sizes in the visitor's language and time zone.

export const LANGUAGES = { zh: "中文", en: "English", fr: "Français", es: "Español", ru: "Русский", ar: "العربية" };
const RIGHT_TO_LEFT = ["ar"];
const [ISOLATE, END] = ["\u2068", "\u2069"]; // an inserted value keeps its own direction of writing
const MOMENT = { weekday: "long", year: "numeric", month: "long", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
const DAY = { year: "numeric", month: "long", day: "numeric", timeZone: "UTC" };
const SPANS = [["day", 86_400, 36 * 3600], ["hour", 3600, 5400], ["minute", 60, 90], ["second", 1, 0]]; // unit, s, from s on
const SIZES = [["megabyte", 1_000_000], ["kilobyte", 1000]];
// What kiosks call their targets, and what laboratories do (LOINC, nucleic acid amplification, respiratory specimen).
const TARGETS = {
  "sars-cov-2": "covid", "94500-6": "covid", "94533-7": "covidN", "influenza-a": "fluA", "92142-9": "fluA",
  "influenza-b": "fluB", "92141-1": "fluB", rsv: "rsv", "92131-2": "rsv", practice: "practiceTarget",
};

/** The first of the browser's languages that the page has, else English. */
export function chosenLanguage(wanted) {
  return wanted.map((tag) => tag.toLowerCase().split("-")[0]).find((tag) => Object.hasOwn(LANGUAGES, tag)) ?? "en";
}

/** What the page says in one language. */
export async function speech(language) {
  const words = (await import(`./words/${language}.js`)).default;
  const locale = `${language}-u-ca-gregory`;
  const unit = (value, name, digits) =>
    new Intl.NumberFormat(locale, { style: "unit", unit: name, unitDisplay: "long", maximumFractionDigits: digits }).format(value);
  const say = (key, values = {}) =>
    words[key].replace(/\{(\w+)\}/gu, (_, name) => `${ISOLATE}${values[name]}${END}`);
  return {
    language,
    direction: RIGHT_TO_LEFT.includes(language) ? "rtl" : "ltr",
    say,
    moment: (ms) => new Intl.DateTimeFormat(locale, MOMENT).format(ms),
    day: (iso) => new Intl.DateTimeFormat(locale, DAY).format(Date.parse(`${iso}T00:00:00Z`)),
    span: (seconds) => {
      const [name, size] = SPANS.find(([, , from]) => seconds >= from);
      return unit(Math.ceil(seconds / size), name, 0);
    },
    size: (bytes) => {
      const [name, size] = SIZES.find(([, from]) => bytes >= from) ?? SIZES.at(-1);
      return unit(bytes / size, name, 1);
    },
    target: (code) => (Object.hasOwn(TARGETS, code) ? say(TARGETS[code]) : say("target", { code })),
  };
}
