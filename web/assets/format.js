// How numbers, times and ids are written. One place, so that every view writes them alike.

/** Microseconds as people read them: 870 µs, 1.4 ms, 12 ms, 2.1 s. */
export function span(us) {
  if (us === undefined || us === null || Number.isNaN(us)) return "–";
  if (us < 0) return `−${span(-us)}`;
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 10_000) return `${(us / 1000).toFixed(1)} ms`;
  if (us < 1_000_000) return `${Math.round(us / 1000)} ms`;
  if (us < 10_000_000) return `${(us / 1e6).toFixed(1)} s`;
  if (us < 60_000_000) return `${Math.round(us / 1e6)} s`;
  const seconds = Math.round(us / 1e6);
  return `${Math.floor(seconds / 60)} min${seconds % 60 ? ` ${seconds % 60} s` : ""}`;
}

/** A moment as a wall clock shows it, to the millisecond. */
export function clock(at_us) {
  const date = new Date(at_us / 1000);
  const two = (number) => String(number).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** A difference with its sign: +10, −30 (a true minus, as wide as the plus). */
export function delta(amount) {
  return amount < 0 ? `−${String(amount).slice(1)}` : `+${amount}`;
}

/** The part of an id that tells transactions of one cluster apart: `e564db4618d116c3-1-9` is `1-9`. */
export function short(id) {
  if (!id) return "–";
  const parts = id.split("-");
  return parts.length === 3 ? `${parts[1]}-${parts[2]}` : `${id.slice(0, 8)}…`;
}

/** A line of a log or a diagram with its transaction ids cut short. */
export function shortIds(line) {
  return line.replace(/\b[0-9a-f]{16}-(\d+-\d+)\b/g, "$1");
}

/** Legs in one line: `N1/A −10 → N2/B +10`. */
export function legs(list) {
  const one = ({ node, account, delta: by }) => (account === "@world" ? "outside" : `${node}/${account} ${delta(by)}`);
  const taken = list.filter((leg) => leg.delta < 0).map(one);
  const given = list.filter((leg) => leg.delta >= 0).map(one);
  return [taken.join(", "), given.join(", ")].filter(Boolean).join(" → ");
}

/** A count with thin spaces between thousands. */
export function count(number) {
  if (number === undefined || number === null) return "–";
  return Math.round(number).toString().replace(/\B(?=(\d{3})+$)/g, "\u2009");
}

/** A rate with as many digits as mean something. */
export function rate(number) {
  if (number === undefined || number === null) return "–";
  return !Number.isInteger(number) && Math.abs(number) < 10 ? number.toFixed(1) : count(number);
}
