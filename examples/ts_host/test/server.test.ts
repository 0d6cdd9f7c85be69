import assert from "node:assert/strict";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import type { PluginHealth } from "plugward";
import { type Host, makeHost, retryAfter } from "../src/server.js";

let host: Host;
let server: Server;
let base = "";

before(async () => {
  host = await makeHost();
  server = host.app.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

after(async () => {
  await host.runtime.close();
  server.closeAllConnections();
  server.close();
});

async function call(plugin: string, tool: string, body: unknown = {}): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${base}/v1/plugins/${plugin}/tools/${tool}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function states(): Promise<Record<string, string>> {
  const response = await fetch(`${base}/v1/plugins`);
  assert.equal(response.status, 200);
  return Object.fromEntries(((await response.json()) as PluginHealth[]).map((plugin) => [plugin.name, plugin.state]));
}

test("all four load", async () => {
  assert.deepEqual(await states(), { good: "INITIALIZED", never: "INITIALIZED", spinning: "INITIALIZED", throwing: "INITIALIZED" });
  assert.equal((await fetch(`${base}/readyz`)).status, 200);
});

test("while one spins and one never settles, the others answer and the event loop is free", async () => {
  const stuck = Promise.all([call("spinning", "spin"), call("never", "wait")]);
  let answered = 0;
  let settled = false;
  void stuck.then(() => (settled = true));
  while (!settled) {
    const { status, body } = await call("good", "add", { a: answered, b: 1 });
    assert.equal(status, 200);
    assert.deepEqual(body["result"], { sum: answered + 1 });
    assert.equal((await fetch(`${base}/livez`)).status, 200);
    answered += 1;
  }
  for (const { status, body } of await stuck) {
    assert.equal(status, 504);
    assert.equal(body["error_type"], "DeadlineExceeded");
    assert.equal(body["effect"], "stopped");
  }
  // A loop that is held answers one call, when the spin has ended. How many it answers otherwise is the machine's matter.
  assert.ok(answered >= 2, `${answered} calls were answered meanwhile`);
});

test("what throws is told, and only what failed is FAILED", async () => {
  const now = await call("throwing", "now");
  assert.equal(now.status, 500);
  assert.equal(now.body["error"], "this plugin throws");
  assert.equal(now.body["error_type"], "TypeError");
  assert.equal(now.body["traceback"], undefined);
  assert.deepEqual(await states(), { good: "INITIALIZED", never: "FAILED", spinning: "FAILED", throwing: "FAILED" });
  assert.equal((await call("spinning", "spin")).status, 503);
});

test("each comes back with its next generation, and an error in a timer is blamed on its plugin", async () => {
  for (const name of ["never", "spinning", "throwing"]) {
    const response = await fetch(`${base}/v1/plugins/${name}/restart`, { method: "POST" });
    assert.equal(response.status, 200);
    assert.equal(((await response.json()) as { generation: number }).generation, 2);
  }
  assert.equal((await call("throwing", "later")).status, 200);
  const end = Date.now() + 60_000;
  while ((await states())["throwing"] !== "FAILED") assert.ok(Date.now() < end, "the timer's error was never blamed");
  const health = (await (await fetch(`${base}/v1/plugins/throwing/health`)).json()) as PluginHealth;
  assert.match(String(health.reason), /in a timer/);
  assert.equal((await states())["good"], "INITIALIZED");
});

test("a client that leaves cancels its call, and its plugin is not blamed", async () => {
  const health = async (): Promise<PluginHealth> => (await (await fetch(`${base}/v1/plugins/never/health`)).json()) as PluginHealth;
  const before = await health();
  const left = new AbortController();
  const url = `${base}/v1/plugins/never/tools/wait`;
  const gone = fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: "{}", signal: left.signal });
  const end = Date.now() + 60_000;
  while ((await health()).in_flight === 0) assert.ok(Date.now() < end, "the call never began");
  left.abort();
  await assert.rejects(gone, { name: "AbortError" });
  // It never hears of it, so its worker is ended: after a second, or at the deadline of the call, which is no error of its own then.
  while ((await health()).generation === before.generation || (await health()).state !== "INITIALIZED") assert.ok(Date.now() < end, "it was never ended");
  assert.equal((await health()).error_count, before.error_count);
});

test("a client is told when to come again", () => {
  assert.equal(retryAfter({ retry_after_ms: 1200 }), 2);
  assert.equal(retryAfter({ retry_after_ms: 3 }), 1);
  assert.equal(retryAfter(undefined), undefined);
});

test("unknown plugins and tools are 404, and metrics count it all", async () => {
  assert.equal((await call("nobody", "x")).status, 404);
  assert.equal((await call("good", "nothing")).status, 404);
  const text = await (await fetch(`${base}/metrics`)).text();
  assert.match(text, /PW-CALL-005/);
});
