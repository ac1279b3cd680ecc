// How the panel asks its server. Every answer is JSON; a refusal is thrown as a `Problem` that says what happened, whether
// money moved, and what to do next.

export class Problem extends Error {
  constructor(body, status) {
    super(body.detail || body.title || `the server answered ${status}`);
    this.name = "Problem";
    this.status = status;
    this.code = body.code ?? "unknown";
    this.title = body.title ?? "Failed";
    this.moneyMoved = body.money_moved;
    this.next = body.next;
    this.body = body;
  }
}

export const get = (path) => ask("GET", path);
export const post = (path, body = {}, headers = {}) => ask("POST", path, body, headers);

/** The control endpoints, which a plain gateway does not have. */
export const control = (path) => `/v1/control/${path}`;

/**
 * Submits a transaction. Aborted is an answer, not a failure: both come back as the outcome's fields.
 * Only what is neither (unknown, unreachable, refused as malformed) is thrown.
 */
export async function submit(body, path = "/v1/transactions") {
  try {
    return await post(path, body, { "Idempotency-Key": requestId() });
  } catch (problem) {
    if (problem instanceof Problem && problem.body.outcome) return problem.body;
    throw problem;
  }
}

/** A fresh request id whose first half tells its age, as the command line makes them. */
export function requestId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let now = Date.now();
  for (let at = 5; at >= 0; at--) {
    bytes[at] = now % 256;
    now = Math.floor(now / 256);
  }
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function ask(method, path, body, headers = {}) {
  const init = { method, headers: { Accept: "application/json", ...headers } };
  if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new Problem({ code: "server_gone", title: "The server is gone", detail: "The panel's server does not answer: is `twopence up` still running?", money_moved: method === "GET" ? "no" : "unknown" }, 0);
  }
  const text = await response.text();
  let answer;
  try {
    answer = text === "" ? {} : JSON.parse(text);
  } catch {
    answer = { detail: text.slice(0, 300) };
  }
  if (!response.ok) throw new Problem(answer, response.status);
  return answer;
}
