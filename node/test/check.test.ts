/** The dependency check: `runtime.check()`, npm packages, Node's own version. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { type Finding, PlugwardError, Runtime } from "#src/index";
import { folder, modulePlugin } from "./fixtures";

const rt = new Runtime();
after(() => rt.close());

function install(root: string, name: string, json: object | string): string {
  const place = join(root, "node_modules", name);
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, "package.json"), typeof json === "string" ? json : JSON.stringify(json));
  return place;
}

/** Subject and code of the packages and of Node. */
async function checked(path: string): Promise<[string, string | null][]> {
  const findings = await rt.check(path);
  return findings.filter(({ kind, subject }) => kind === "package" || subject === "node").map(({ subject, code }) => [subject, code]);
}

async function bad(path: string): Promise<Finding> {
  const found = (await rt.check(path)).filter((finding) => !finding.ok);
  assert.equal(found.length, 1, JSON.stringify(found));
  assert.ok(found[0]!.cause && found[0]!.message && found[0]!.remedy, JSON.stringify(found));
  return found[0]!;
}

test("check loads nothing and tells everything", async () => {
  const path = modulePlugin("watched", "process.exit(3)", { env: ["SURELY_UNSET"], executables: ["node"], models: { m: "m.pt" }, requires_gpu: true });
  const findings = await rt.check(path);
  assert.deepEqual([...new Set(findings.map(({ kind }) => kind))].sort(), ["entrypoint", "env", "executable", "gpu", "model", "platform"]);
  const codes = findings.map(({ code }) => code);
  for (const code of ["PW-ENV-001", "PW-MODEL-001"]) assert.ok(codes.includes(code), String(codes));
  assert.equal(rt.pluginHealth("watched"), undefined);
  const same = await rt.check({ name: "watched", kind: "node", entrypoint: "index.js", models: { m: "m.pt" } }, { dir: path });
  assert.match(same.find(({ kind }) => kind === "model")?.message ?? "", new RegExp(join(path, "m.pt")));
});

test("packages of another interpreter are not passed over in silence", async () => {
  for (const [kind, entrypoint] of [["python", "p.py:P"], ["native", "p.so"]] as const) {
    const path = folder({ "manifest.json": JSON.stringify({ name: "other", kind, entrypoint, dependencies: ["numpy"] }) });
    const packages = (await rt.check(path)).filter((finding) => finding.kind === "package");
    assert.deepEqual(packages.map(({ ok, message }) => [ok, message]), [[true, "1 package was not looked at"]]);
  }
});

test("code that is not there is a finding with the code of its load", async () => {
  for (const [kind, entrypoint, code] of [["node", "gone.js:P", "PW-LOAD-007"], ["python", "gone.py:P", "PW-LOAD-007"], ["native", "gone.so", "PW-NAT-001"]]) {
    const path = folder({ "manifest.json": JSON.stringify({ name: "gone", kind, entrypoint }) });
    const finding = await bad(path);
    assert.deepEqual([finding.kind, finding.code], ["entrypoint", code]);
  }
});

test("a manifest that cannot be read rejects with its code", async () => {
  const refused = (code: string) => (error: unknown) => error instanceof PlugwardError && error.code === code;
  await assert.rejects(rt.check("/no/such/plugin"), refused("PW-MAN-001"));
  await assert.rejects(rt.check(folder({ "manifest.json": "{" })), refused("PW-MAN-002"));
});

test("what packages need in turn: the range, the chain, circles, peers, what is optional", async () => {
  const path = modulePlugin("deep", "", { dependencies: ["alpha"] });
  install(path, "alpha", { version: "1.0.0", dependencies: { beta: "^2.0.0" }, optionalDependencies: { gone: "1" } });
  install(path, "beta", { version: "2.1.0", dependencies: { alpha: "*", gamma: "~1.2.0" }, peerDependencies: { lost: "1" }, peerDependenciesMeta: { lost: { optional: true } } });
  install(path, "gamma", { version: "1.3.0" });
  const old = await bad(path);
  assert.equal(old.code, "PW-PKG-003");
  assert.match(old.cause, /alpha -> beta -> gamma: package "gamma" is 1\.3\.0, needed is ~1\.2\.0/);
  install(path, "gamma", { version: "1.2.9", peerDependencies: { peer: ">=1" } });
  assert.match((await bad(path)).cause, /gamma -> peer/);
  install(path, "peer", { version: "3.0.0" });
  assert.deepEqual(await checked(path), [["alpha", null]]);
});

test("a package of its own below another one is the one that counts", async () => {
  const path = modulePlugin("nested", "", { dependencies: ["alpha", "beta@^1"] });
  const alpha = install(path, "alpha", { version: "1.0.0", dependencies: { beta: "^2" } });
  install(path, "beta", { version: "1.0.0" });
  assert.equal((await bad(path)).code, "PW-PKG-003");
  install(alpha, "beta", { version: "2.0.0" });
  assert.deepEqual(await checked(path), [["alpha", null], ["beta", null]]);
});

test("a damaged package, a range that is none", async () => {
  const path = modulePlugin("torn", "", { dependencies: ["torn"] });
  install(path, "torn", "{ half");
  assert.equal((await bad(path)).code, "PW-PKG-006");
  const wrong = modulePlugin("wrong", "", { dependencies: ["there@>>2"] });
  install(wrong, "there", { version: "1.0.0" });
  assert.equal((await bad(wrong)).code, "PW-PKG-004");
});

test("a package.json beside the manifest counts as well", async () => {
  const path = modulePlugin("own", "", { dependencies: ["named@^1"] });
  const own = (json: object): void => writeFileSync(join(path, "package.json"), JSON.stringify(json));
  own({ dependencies: { named: "^9", more: "^1.0.0" }, devDependencies: { dev: "*" }, engines: { node: ">=18" } });
  install(path, "named", { version: "1.0.0" });
  assert.deepEqual(await checked(path), [["node", null], ["named", null], ["more", "PW-PKG-001"]]);
  install(path, "more", { version: "1.4.0" });
  assert.deepEqual(await checked(path), [["node", null], ["named", null], ["more", null]]);
  own({ engines: { node: "<4 || ^5.1" } });
  const node = await bad(path);
  assert.deepEqual([node.kind, node.code], ["platform", "PW-ENV-003"]);
  assert.match(node.cause, new RegExp(process.versions.node));
});
