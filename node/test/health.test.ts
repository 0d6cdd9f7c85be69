import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import express from "express";
import { fastify } from "fastify";
import { healthHandler, type PluginHealth, Runtime } from "plugward";

const rt = new Runtime();
const closers: (() => unknown)[] = [() => rt.close()];
after(() => Promise.all(closers.map((close) => close())));

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => new Promise((resolve) => server.close(resolve)));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function check(base: string): Promise<void> {
  const list = await fetch(`${base}/v1/plugins`);
  assert.equal(list.status, 200);
  assert.match(String(list.headers.get("content-type")), /application\/json/);
  const plugins = (await list.json()) as PluginHealth[];
  assert.deepEqual(plugins.map((plugin) => [plugin.name, plugin.state]), [["bad one", "FAILED"], ["good", "INITIALIZED"]]);
  assert.match(String(plugins[0]?.reason), /on purpose/);
  const one = await fetch(`${base}/v1/plugins/bad%20one/health?x=1`);
  assert.equal(one.status, 200);
  assert.equal(((await one.json()) as PluginHealth).error_count, 1);
  for (const path of ["/v1/plugins/none/health", "/v1/plugins/%00/health", "/v1/plugins/__proto__/health"]) {
    assert.equal((await fetch(base + path)).status, 404, path);
  }
  assert.equal((await fetch(`${base}/livez`)).status, 200);
  assert.equal((await fetch(`${base}/readyz`)).status, 200);
  const metrics = await fetch(`${base}/metrics`);
  assert.equal(metrics.status, 200);
  assert.match(await metrics.text(), /plugward_[a-z_]+\{.*good/);
  const head = await fetch(`${base}/v1/plugins`, { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.ok(Number(head.headers.get("content-length")) > 10);
}

test("set-up", async () => {
  await rt.load({ name: "good", tools: { go: () => 1 } });
  await rt.load({ name: "bad one", tools: { go: () => { throw new Error("on purpose"); } } });
  await rt.call("good", "go");
  await rt.call("bad one", "go");
});

test("node:http", async () => {
  const handler = healthHandler(rt);
  const base = await serve((request, response) => void handler(request, response));
  await check(base);
  assert.equal((await fetch(`${base}/elsewhere`)).status, 404);
  assert.equal((await fetch(`${base}/v1/plugins/%E0%A4%A/health`)).status, 404, "a name that cannot be decoded");
  assert.equal((await fetch(`${base}/v1/plugins`, { method: "POST" })).status, 404);
});

test("Express: what is not health goes on to the next handler", async () => {
  const app = express();
  app.use(healthHandler(rt));
  app.get("/elsewhere", (_request, response) => void response.send("mine"));
  const base = await serve(app);
  await check(base);
  assert.equal(await (await fetch(`${base}/elsewhere`)).text(), "mine");
});

test("Fastify", async () => {
  const app = fastify();
  const handler = healthHandler(rt);
  for (const path of ["/v1/plugins", "/v1/plugins/:name/health", "/livez", "/readyz", "/metrics"]) {
    app.get(path, (request, reply) => void handler(request, reply));
  }
  const base = await app.listen({ port: 0, host: "127.0.0.1" });
  closers.push(() => app.close());
  await check(base);
});

test("a closed runtime is not ready, and its list still answers 200", async () => {
  const closed = new Runtime();
  await closed.close();
  const handler = healthHandler(closed);
  const base = await serve((request, response) => void handler(request, response));
  assert.equal((await fetch(`${base}/v1/plugins`)).status, 200);
  assert.equal((await fetch(`${base}/livez`)).status, 200);
  assert.equal((await fetch(`${base}/readyz`)).status, 503);
});
