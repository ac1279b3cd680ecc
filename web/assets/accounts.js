// Which accounts there are and what they hold.

import { get } from "./api.js";

const PAGE = 200;

/** A node's first accounts: `[{place, node, account, balance}]`. `more` says whether there are others. */
export async function accountsOf(node) {
  const page = await get(`/v1/nodes/${encodeURIComponent(node)}/accounts?limit=${PAGE}`);
  const list = Array.isArray(page) ? page : page.accounts ?? [];
  return list.map(({ account, balance }) => ({ place: `${node}/${account}`, node, account, balance }));
}

/** Everything, node by node; a node that does not answer is left out. */
export async function allAccounts(app) {
  const found = await Promise.all(app.nodes().map((node) => accountsOf(node).catch(() => [])));
  return found.flat();
}

/** Two accounts to play with: one that holds something, and one on another node. */
export async function money(app) {
  const accounts = (await allAccounts(app)).filter(({ account }) => !account.startsWith("@"));
  const preferred = ["N1/A", "N2/B", "N3/C"];
  const rank = ({ place }) => (preferred.indexOf(place) + preferred.length + 1) % (preferred.length + 1);
  accounts.sort((one, other) => rank(one) - rank(other));
  const from = accounts.find(({ balance }) => balance >= 10) ?? accounts[0];
  const to = accounts.find((account) => from && account.node !== from.node) ?? accounts.find((account) => account !== from);
  if (!from || !to) throw new Error("There are not two accounts to move money between: open some with a deposit, in Operate.");
  return [from, to];
}
