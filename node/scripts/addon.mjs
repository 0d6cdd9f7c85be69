// Builds the Rust addon with plain cargo and puts it beside the package: node/plugward.node.
// `--debug` builds faster and runs slower.
import { spawnSync } from "node:child_process";
import { copyFileSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const package_ = join(dirname(fileURLToPath(import.meta.url)), "..");
const root = join(package_, "..");
const debug = process.argv.includes("--debug");
const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");

const args = ["build", "-p", "plugward-node", ...(debug ? [] : ["--release"])];
const { status } = spawnSync("cargo", args, { cwd: root, stdio: "inherit" });
if (status !== 0) process.exit(status ?? 1);

const names = { darwin: "libplugward_node.dylib", win32: "plugward_node.dll" };
const built = join(target, debug ? "debug" : "release", names[process.platform] ?? "libplugward_node.so");
// A running process may have the old file mapped: it is replaced, never written over.
const place = join(package_, "plugward.node");
copyFileSync(built, `${place}.new`);
renameSync(`${place}.new`, place);
console.log(`plugward.node is ${built}`);
