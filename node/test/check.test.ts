/** The dependency check: `runtime.check()`, npm packages, Node's own version. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Code, type Finding, PlugwardError, Runtime } from "#src/index";
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

test("deep imports what is there, each package in a process of its own", async () => {
  const path = modulePlugin("imports", "", { dependencies: ["fine", "modern", "demanding", "throws", "exits", "hangs", "types", "gone", "node:fs"] });
  const put = (name: string, json: object, files: Record<string, string>): void => {
    const place = install(path, name, { version: "1.0.0", ...json });
    for (const [file, text] of Object.entries(files)) writeFileSync(join(place, file), text);
  };
  put("fine", {}, { "index.js": "console.log('chatter'); setInterval(() => {}, 1000)" });
  put("modern", { type: "module", exports: "./main.js" }, { "main.js": "export default await 1" });
  put("demanding", { exports: { require: "./main.cjs" } }, { "main.cjs": "module.exports = 1" });
  put("throws", {}, { "index.js": "throw new RangeError('no luck')" });
  put("exits", {}, { "index.js": "console.error('going'); process.exit(0)" });
  put("hangs", {}, { "index.js": "for (;;);" });
  put("types", { types: "index.d.ts" }, { "index.d.ts": "export type A = 1" });
  const packages = (findings: Finding[]): Finding[] => findings.filter(({ kind }) => kind === "package");
  assert.equal(packages(await rt.check(path)).length, 8, "nothing is imported unless it is asked for");
  const found = packages(await rt.check(path, { deep: true, importTimeoutMs: 10_000 })).slice(8);
  assert.deepEqual(
    found.map(({ subject, code }) => [subject, code]),
    [["fine", null], ["modern", null], ["demanding", null], ["throws", "PW-PKG-005"], ["exits", "PW-PKG-005"], ["hangs", "PW-PKG-005"], ["types", null]],
    JSON.stringify(found),
  );
  assert.match(found[3]!.cause, /RangeError: no luck/);
  assert.match(found[4]!.cause, /exit status 0.*going/);
  assert.match(found[5]!.cause, /did not end within 10\.0 s/);
  assert.match(found[6]!.message, /no module that could be imported/);
  await assert.rejects(rt.check(path, { deep: true, importTimeoutMs: 0 }), (error: unknown) => (error as PlugwardError).code === Code.RuntimeOption);
});

test("deep does not pretend for packages of another interpreter", async () => {
  const path = folder({ "manifest.json": { name: "other", kind: "python", entrypoint: "p.py:P", dependencies: ["numpy"] }, "p.py": "" });
  const packages = (await rt.check(path, { deep: true })).filter(({ kind }) => kind === "package");
  assert.deepEqual(packages.map(({ message }) => message), ["1 package was not looked at"]);
});

test("progress tells how far the reading of a model is; one that throws harms nobody", async () => {
  const bytes = Buffer.alloc(3_000_000, Buffer.from([0x93, 0, 1, 0xff]));
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const path = modulePlugin("weighty", "", { models: { m: { path: "m.bin", sha256 } } });
  writeFileSync(join(path, "m.bin"), bytes);
  const told: [string, number, number][] = [];
  const findings = await rt.check(path, {
    progress: (...report) => {
      told.push(report);
      throw new Error("its own affair");
    },
  });
  assert.equal(findings.find(({ kind }) => kind === "model")?.ok, true, JSON.stringify(findings));
  assert.deepEqual(told.at(-1), [join(path, "m.bin"), bytes.length, bytes.length]);
});
